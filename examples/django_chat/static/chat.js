// The page's own script: sends what the user writes, and shows the answer as its events come.
// Whatever the model or a user says is put into the page as text, never as HTML.
"use strict";

const page = document.body.dataset;
const csrfToken = document.querySelector('meta[name="csrf-token"]').content;
const messages = document.getElementById("messages");
const welcome = document.getElementById("welcome");
const composer = document.getElementById("composer");
const sendButton = document.getElementById("send");
const stopButton = document.getElementById("stop");

const WORDS_PER_SECOND = 4; // of the typing before each further turn
const SHORTEST_TYPING = 400, LONGEST_TYPING = 1800; // milliseconds
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// ---- showing ----

let following = true; // whether the newest is in view, and is to stay there; whoever scrolls up reads on in peace
let lastTop = 0;

function follow() {
  if (following) messages.scrollTop = messages.scrollHeight;
}

messages.addEventListener("scroll", () => {
  const atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
  following = atEnd || (following && messages.scrollTop >= lastTop);
  lastTop = messages.scrollTop;
});
new ResizeObserver(follow).observe(messages);

function show(element) {
  welcome.hidden = true;
  messages.append(element);
  follow();
  return element;
}

function bubble(role, text) {
  const element = document.createElement("div");
  element.className = `bubble ${role}`;
  element.textContent = text;
  return element;
}

function typingBubble() {
  const element = bubble("assistant", "");
  element.classList.add("typing");
  element.setAttribute("aria-label", "typing");
  for (let dot = 0; dot < 3; dot++) element.append(document.createElement("i"));
  return element;
}

function picture({ url, prompt }) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = prompt;
  if (/^https?:/.test(url)) {
    const image = document.createElement("img");
    image.alt = prompt;
    image.src = url;
    image.addEventListener("load", follow);
    figure.append(image);
  }
  figure.append(caption);
  return figure;
}

function warn(text) {
  show(bubble("warning", text)).setAttribute("role", "alert");
}

// ---- one answer ----

class Answer {
  // What is on its way is one element at the end: typing dots, a text that grows, or a picture that is being made.
  #pending = null;
  #queue = Promise.resolve(); // turns wait for the typing of those before

  #replace(element) {
    this.#pending?.remove();
    this.#pending = element && show(element);
  }

  #next(step) {
    this.#queue = this.#queue.then(step);
  }

  take(name, data) {
    const step = this[`on_${name}`];
    if (step) this.#next(() => step.call(this, data));
  }

  on_start() {
    this.#replace(typingBubble());
  }

  on_tokens({ text }) {
    if (!this.#pending?.classList.contains("streaming")) {
      this.#replace(bubble("assistant streaming", ""));
    }
    this.#pending.append(text); // as a text node
    follow();
  }

  async on_message({ text, turn, turns }) {
    if (turn > 0 && !calm.matches) await typing(text);
    if (this.#pending?.classList.contains("streaming")) {
      this.#pending.classList.remove("streaming");
      this.#pending.textContent = text; // the same without the model's thinking
      this.#pending = null;
    } else {
      this.#replace(null);
      if (text) show(bubble("assistant", text));
    }
    if (turn + 1 < turns) this.#replace(typingBubble());
  }

  on_drawing({ prompt }) {
    const figure = picture({ url: "", prompt });
    figure.classList.add("drawing");
    this.#replace(figure);
  }

  on_image(image) {
    this.#replace(null);
    show(picture(image));
  }

  on_no_image() {
    this.#replace(null);
    warn("The picture could not be made.");
  }

  on_error({ text }) {
    this.#replace(null);
    warn(text);
  }

  on_done() {
    this.#replace(null);
  }

  async end() {
    this.#next(() => this.#replace(null));
    await this.#queue;
  }
}

function typing(text) {
  const wanted = (text.split(/\s+/).length / WORDS_PER_SECOND) * 1000;
  return new Promise((done) => setTimeout(done, Math.min(Math.max(wanted, SHORTEST_TYPING), LONGEST_TYPING)));
}

// ---- asking ----

// Gives [name, data] of each event of a response. EventSource cannot be used: it only GETs, and a message is a POST.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      const [, name, data] = frame.match(/^event: (\w+)\ndata: (.*)$/);
      yield [name, JSON.parse(data)];
    }
  }
}

function post(url, body, signal) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken };
  return fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
}

let running = null; // what stops the answer that is on its way

async function ask(text, mode) {
  running = new AbortController();
  setBusy(true);
  following = true;
  show(bubble("user", text));
  const answer = new Answer();
  try {
    const response = await post(page.chat, { text, mode }, running.signal);
    if (response.status === 401 || response.status === 403) return location.assign(page.login); // the session is over, or a new one
    if (!response.ok) {
      const told = await response.json().catch(() => ({}));
      throw new Error(told.error ?? "Something went wrong. Please try again.");
    }
    let ended = false;
    for await (const [name, data] of eventsOf(response)) {
      answer.take(name, data);
      ended = name === "done" || name === "error";
    }
    if (!ended) throw new Error("The connection broke off.");
  } catch (error) {
    if (error.name !== "AbortError") answer.take("error", { text: error instanceof TypeError ? "The chat cannot be reached." : error.message });
  } finally {
    await answer.end();
    running = null;
    setBusy(false);
  }
}

function setBusy(busy) {
  messages.setAttribute("aria-busy", String(busy));
  sendButton.hidden = busy;
  stopButton.hidden = !busy;
}

async function load() {
  const response = await fetch(page.messages);
  if (response.status === 401) return location.assign(page.login);
  const entries = await response.json();
  for (const { role, text, image } of entries) show(image ? picture(image) : bubble(role, text));
  welcome.hidden = entries.length > 0;
}

// The way of a script that talks to the platform itself, such as the JavaScript SDK: a short-lived token, of this user alone.
async function checkToken() {
  const notice = document.getElementById("notice");
  const response = await fetch(page.token, { method: "POST" });
  const told = await response.json();
  if (response.ok) {
    const claims = JSON.parse(atob(told.accessToken.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    notice.textContent = `A token was handed out. It ends at ${new Date(claims.exp * 1000).toLocaleTimeString()}.`;
  } else {
    notice.textContent = `No token: ${told.error}`;
  }
  notice.hidden = false;
}

// ---- what the user does ----

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = composer.elements.text.value.trim();
  if (!text || running) return;
  composer.elements.text.value = "";
  ask(text, composer.elements.mode.value);
});

composer.elements.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

welcome.addEventListener("click", ({ target }) => {
  if (!target.dataset.mode || running) return;
  composer.elements.mode.value = target.dataset.mode;
  ask(target.textContent, target.dataset.mode);
});

stopButton.addEventListener("click", () => running?.abort());
document.getElementById("check-token").addEventListener("click", checkToken);
// a page that the browser kept from before the logout must not be shown again
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

load();
