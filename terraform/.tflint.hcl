# The rules that tflint carries itself: nothing is downloaded.
tflint {
  required_version = ">= 0.64"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# A function has a file of its own, and what it stands on, too: no main.tf.
rule "terraform_standard_module_structure" {
  enabled = false
}
