// What a page can do without a script it does; this adds the live list and copying.
"use strict";

// The list of workloads is sent again whenever something has changed.
const list = document.querySelector("[data-live]");
if (list) {
  const source = new EventSource(list.dataset.live);
  source.onmessage = (event) => {
    const at = document.activeElement;
    const href = list.contains(at) ? at.getAttribute("href") : null;
    list.innerHTML = event.data; // rendered by the server, as the page was
    if (href) {
      list.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus();
    }
  };
  addEventListener("pagehide", () => source.close());
}

const copied = document.querySelector(".copied");
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      copied.textContent = "Copied.";
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    } catch { // without TLS, or not allowed: it is selected, for the keyboard
      getSelection().selectAllChildren(text);
      text.focus();
      copied.textContent = "Selected: copy it with the keyboard.";
    }
  });
}
