// A choice is judged at once, and the explanation opens beside it.

for (const question of document.querySelectorAll(".question")) {
  question.addEventListener("change", (event) => {
    const right = event.target.value === question.dataset.key;
    for (const choice of question.querySelectorAll(".choice")) {
      const input = choice.querySelector("input");
      choice.classList.toggle("right", input.checked && right);
      choice.classList.toggle("wrong", input.checked && !right);
    }
    question.querySelector("[data-verdict]").textContent = right ? "Right." : "Not quite. Try another one, or look at the answer.";
    if (right) question.querySelector(".answer").open = true;
  });
}
