// The page of the web chat. It shows each message once, and sends each message once, whatever the network does.
// README.md tells how.

const [log, list, form, text, state, over] = ["log", "messages", "form", "text", "state", "over"].map((id) =>
  document.getElementById(id),
);
const ATTEMPTS = 8; // of one message, before the visitor must press a button: about a minute
const PATIENCE = 20_000; // milliseconds for one request

let chat = null; // the id of the chat, or null before the first message
let stream = null; // the EventSource
let failures = 0; // of the stream, in a row
let history = []; // the messages of the server, in order, as they were read last
const shown = new Map(); // the element of each message, by the id of the message
const elements = new Map(); // the element of each message that is not sent yet, by its own id
const tabs = new BroadcastChannel("chat"); // the other tabs of this visitor
const others = new Map(); // the elements of what they are sending, by its own id

// What is not known to be sent. It survives a reload: {name, text, chat, failed, refused}. `failed` says why it waits for
// the visitor, and `refused` whether it has certainly not arrived.
let pending = JSON.parse(sessionStorage.getItem("pending") ?? "[]");

// --- requests ---

async function call(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
      ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    return { status: response.status, ok: response.ok, body: await response.json().catch(() => ({})) };
  } catch {
    return { status: 0, ok: false, body: {} };
  }
}

// Wait longer after each failure, but go on at once when the network is back.
function pause(failed) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.min(500 * 2 ** failed, 10_000) * (0.75 + Math.random() / 4));
    addEventListener("online", resolve, { once: true });
  });
}

// --- the screen ---

function made(name, className, content) {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = content;
  return element;
}

function item(content, isMine) {
  const element = made("li", isMine ? "mine" : "theirs", "");
  element.append(made("span", "author", isMine ? "You: " : "Agent: "), made("p", "", content));
  if (isMine) element.append(made("span", "outcome", ""));
  return element;
}

function mark(element, outcome, failed = false) {
  element.classList.toggle("failed", failed);
  element.querySelector(".outcome").textContent = outcome;
  element.querySelector("button")?.remove();
}

function place(element, after) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (after === "end") list.append(element);
  else if (after) after.after(element);
  else list.prepend(element);
  if (atEnd || elements.size) log.scrollTop = log.scrollHeight;
}

function tell(sentence) {
  if (state.textContent !== sentence) state.textContent = sentence;
}

// The element of a message of the server, or null while it may be one that this page has just sent: then the receipt
// tells which of the two it is.
function elementOf(message) {
  const known = shown.get(message.id);
  if (known) return known;
  const isMine = message.direction === "INBOUND";
  if (isMine && pending.some((one) => !one.refused && one.text === message.text.trim())) return null;
  const element = item(message.text, isMine);
  if (isMine) mark(element, "Sent");
  shown.set(message.id, element);
  return element;
}

function show(message) {
  const element = elementOf(message);
  if (element && !element.isConnected) place(element, "end");
}

// Bring the screen into the order of the server. What the server does not list yet stays where it is.
function merge() {
  let last = null;
  for (const message of history) {
    const element = elementOf(message);
    if (!element) continue;
    const follows = last === null || last.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (!element.isConnected || !follows) place(element, last);
    last = element;
  }
}

function end() {
  const hadFocus = form.contains(document.activeElement);
  stream?.close();
  stream = null;
  for (const one of pending) fail(one, "Not sent: the chat has ended.", { refused: true, mayRepeat: false });
  form.hidden = true;
  over.hidden = false;
  tell("");
  if (hadFocus) over.querySelector("button").focus();
}

// --- receiving ---

// Read the whole chat. Returns whether that is done; a chat that has ended is done too.
async function read() {
  const id = chat;
  const answer = await call("GET", `chats/${id}/messages`);
  if (id !== chat) return true;
  if (answer.ok) {
    history = answer.body.messages;
    merge();
  }
  if (answer.status === 404 || (answer.ok && !answer.body.active)) end();
  return answer.ok || answer.status === 404;
}

function connect() {
  const mine = (stream = new EventSource(`chats/${chat}/events`));
  let isComplete = false;
  // This event brings the first id: from now on the browser resumes by itself. So what was before it is read once.
  mine.addEventListener("ready", async () => {
    failures = 0;
    tell("Connected");
    for (let failed = 0; !isComplete && stream === mine; failed++) {
      if (failed) await pause(failed);
      isComplete = (await read()) || isComplete;
    }
    log.setAttribute("aria-live", "polite");
  });
  mine.onmessage = (event) => show(JSON.parse(event.data));
  mine.addEventListener("failure", () => again(mine));
  mine.onerror = () => {
    if (stream !== mine) return;
    tell("The connection is lost. Trying again…");
    // After a network error, the browser connects again by itself. After an error of the server, it gives up.
    if (mine.readyState === EventSource.CLOSED) again(mine);
  };
}

async function again(mine) {
  mine.close();
  tell("The connection is lost. Trying again…");
  await pause(failures++);
  if (stream !== mine) return;
  await read(); // it may have ended
  if (stream === mine) connect();
}

// --- sending ---

function save() {
  sessionStorage.setItem("pending", JSON.stringify(pending));
}

function add(one) {
  const element = item(one.text, true);
  elements.set(one.name, element);
  place(element, "end");
  if (one.failed) fail(one, one.failed, one);
  else mark(element, "Sending…");
}

function fail(one, sentence, { refused = false, mayRepeat = true }) {
  [one.failed, one.refused] = [sentence, refused];
  save();
  const element = elements.get(one.name);
  mark(element, sentence, true);
  if (!mayRepeat) return;
  const button = made("button", "", "Try again");
  button.addEventListener("click", () => {
    [one.failed, one.refused] = ["", false];
    save();
    mark(element, "Sending…");
    text.focus();
    deliverAll();
  });
  element.append(button);
}

function sent(one, id) {
  const element = elements.get(one.name);
  elements.delete(one.name);
  pending = pending.filter((other) => other !== one);
  save();
  mark(element, "Sent");
  // The stream of another tab, or the history, may have brought it before.
  shown.get(id)?.remove();
  shown.set(id, element);
  merge();
  tabs.postMessage({ ...one, id });
}

// Another tab sends a message, or knows that it is sent: then it has an id. Its place is where it was sent, so that it
// stands before its reply, but it is not shown before it is sent.
function heard(one) {
  if (one.chat !== chat) return;
  const element = others.get(one.name) ?? item(one.text, true);
  if (!others.has(one.name)) {
    element.hidden = true;
    others.set(one.name, element);
    place(element, "end");
  }
  if (!one.id) return;
  others.delete(one.name);
  if (shown.has(one.id)) return element.remove();
  element.hidden = false;
  mark(element, "Sent");
  shown.set(one.id, element);
}

let isDelivering = true; // until the page knows its chat

// One message after the other, so that they keep their order.
async function deliverAll() {
  if (isDelivering) return;
  isDelivering = true;
  for (let one; (one = pending.find((other) => !other.failed)); ) await deliver(one);
  isDelivering = false;
}

async function deliver(one) {
  for (let failed = 0; failed < ATTEMPTS; failed++) {
    if (failed) await pause(failed);
    const answer = await attempt(one);
    if (!pending.includes(one) || one.failed) return; // the chat has ended meanwhile
    if (answer.ok) return sent(one, answer.body.id);
    if (answer.status >= 400 && answer.status < 500) {
      if (chat) await read(); // it may have ended
      if (!one.failed) fail(one, "Not sent.", { refused: true });
      return;
    }
  }
  for (const other of pending) if (!other.failed) fail(other, "Not confirmed. It is safe to try again.", {});
}

// The id makes it the same message each time, for the server and for Feather.
async function attempt(one) {
  if (!chat) {
    const answer = await call("POST", "chats", {});
    if (!answer.ok) return answer;
    chat = answer.body.chat;
    connect();
  }
  one.chat = chat;
  save();
  tabs.postMessage(one);
  return call("POST", `chats/${chat}/messages`, { id: one.name, text: one.text });
}

function submit() {
  const content = text.value.trim();
  if (!content) return;
  // Not crypto.randomUUID, which a page without HTTPS does not have.
  const name = Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
  const one = { name, text: content, chat, failed: "", refused: false };
  pending.push(one);
  save();
  add(one);
  text.value = "";
  text.focus();
  deliverAll();
}

// --- the beginning ---

async function load() {
  log.setAttribute("aria-live", "off"); // nobody wants to hear the whole history
  pending.forEach(add);
  let answer;
  for (let failed = 0; !answer?.ok; failed++) {
    tell(failed ? "The connection is lost. Trying again…" : "Connecting…");
    if (failed) await pause(failed);
    answer = await call("GET", "chat");
  }
  chat = answer.body.chat;
  const lost = pending.filter((one) => one.chat !== null && one.chat !== chat);
  for (const one of lost) elements.get(one.name).remove();
  pending = pending.filter((one) => !lost.includes(one));
  save();
  if (chat) connect();
  else begin();
  isDelivering = false;
  deliverAll();
}

function begin() {
  log.setAttribute("aria-live", "polite");
  tell("Write a message to begin.");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});

over.querySelector("button").addEventListener("click", () => {
  [chat, history, pending] = [null, [], []];
  save();
  shown.clear();
  elements.clear();
  list.replaceChildren();
  over.hidden = true;
  form.hidden = false;
  begin();
  text.focus();
});

tabs.onmessage = ({ data }) => heard(data);

load();
