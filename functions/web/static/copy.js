// A button copies what stands in the field beside it. Without this script the field
// can be selected and copied like any text.

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  field.addEventListener("focus", () => field.select());
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    const copied = await (navigator.clipboard?.writeText(field.value) ?? Promise.reject()).then(() => true, () => document.execCommand("copy"));
    if (!copied) return; // it is selected: one key is left to press
    button.textContent = "Copied";
    document.querySelector("[data-announce]").textContent = "Copied.";
  });
}
