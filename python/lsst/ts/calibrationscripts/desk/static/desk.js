// This file is part of ts_calibrationscripts.
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";

const viewer = document.getElementById("viewer");
let blinking = null;

function show(kind) {
  for (const figure of viewer.querySelectorAll("figure")) {
    figure.classList.toggle("under", figure.dataset.kind !== kind);
  }
  for (const button of viewer.querySelectorAll("button[data-kind]")) {
    button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  }
  viewer.dataset.shown = kind;
}

function blink(wanted) {
  clearInterval(blinking);
  blinking = wanted ? setInterval(() => show(viewer.dataset.shown === "old" ? "new" : "old"), 700) : null;
  document.getElementById("blink").setAttribute("aria-pressed", String(wanted));
}

function choose(kind) {
  blink(false);
  show(kind);
}

if (viewer) {
  show("new");
  for (const button of viewer.querySelectorAll("button[data-kind]")) {
    button.addEventListener("click", () => choose(button.dataset.kind));
  }
  document.getElementById("blink").addEventListener("click", () => blink(blinking === null));
  document.getElementById("detector")?.addEventListener("change", (event) => {
    const name = event.target.selectedOptions[0].text;
    for (const figure of viewer.querySelectorAll("figure")) {
      const image = figure.querySelector("img");
      const caption = figure.querySelector("figcaption");
      caption.textContent = caption.dataset.text;
      image.alt = image.dataset.what + name;
      image.src = `${viewer.dataset.path}/${event.target.value}/${figure.dataset.kind}.png`;
    }
  });
  for (const image of viewer.querySelectorAll("img")) {
    image.addEventListener("error", () => {
      image.closest("figure").querySelector("figcaption").textContent =
        `There is no picture: ${image.alt}.`;
    });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    return;
  }
  const reason = document.getElementById("reason");
  if (event.key === "r" && reason) {
    event.preventDefault();
    reason.focus();
  } else if (viewer && event.key === "b") {
    blink(blinking === null);
  } else if (viewer) {
    const kind = { n: "new", o: "old", d: "difference" }[event.key];
    if (kind) {
      choose(kind);
    }
  }
});

// The address that is printed has the token behind "#", which no server logs.
const login = document.getElementById("login");

function logIn() {
  if (location.hash.length > 1) {
    document.getElementById("token").value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
    login.requestSubmit();
  }
}

if (login) {
  logIn();
  addEventListener("hashchange", logIn);
}

const progress = document.getElementById("progress");
if (progress?.dataset.events) {
  const events = new EventSource(progress.dataset.events);
  events.addEventListener("progress", (event) => {
    progress.innerHTML = event.data;
  });
  events.addEventListener("end", () => {
    events.close();
    location.reload();
  });
}

for (const part of document.querySelectorAll("[data-load]")) {
  const waiting = document.createElement("span");
  waiting.textContent = ": being read…";
  part.querySelector("a").after(waiting);
  fetch(part.dataset.load)
    .then(async (response) => {
      if (response.ok) {
        part.innerHTML = await response.text();
      } else {
        waiting.textContent = ": cannot be shown. Open it to read why.";
      }
    })
    .catch(() => {
      waiting.textContent = ": not read, as the desk does not answer.";
    });
}
