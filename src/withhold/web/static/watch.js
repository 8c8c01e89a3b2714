// Watches the log from this browser: it keeps the newest head it has seen, and asks that every later one begins
// with it (RFC 9162, 2.1.4.2). Whoever rewrites the ledger, or shows this person another one, is found here,
// with both signed heads as evidence. What is kept never leaves this browser by itself.
(() => {
  "use strict";
  const KEPT = "withhold.log-head", FOUND = "withhold.log-evidence", ED25519 = 1;
  const utf8 = new TextEncoder();

  class Contradiction extends Error {}

  function expect(holds, what) {
    if (!holds) throw new Contradiction(what);
  }

  const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  async function node(left, right) {
    const data = new Uint8Array(65);
    data[0] = 1;
    data.set(left, 1);
    data.set(right, 33);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  }

  // --- checkpoints (C2SP tlog-checkpoint) ---

  function parsed(note) {
    const end = note.indexOf("\n\n");
    const [origin, size, root] = note.slice(0, end).split("\n");
    expect(end > 0 && /^(0|[1-9][0-9]{0,15})$/.test(size), "the log's head has another form");
    const lines = note.slice(end + 2).split("\n").map((line) => /^\u2014 (\S+) (\S+)$/.exec(line));
    return {origin, size: Number(size), root: hex(fromBase64(root)), text: note.slice(0, end + 1), lines, note};
  }

  async function isSigned(head, key) {
    const [name, id] = key.split("+", 2);
    const material = fromBase64(key.slice(name.length + id.length + 2));
    for (const line of head.lines) {
      if (line === null || line[1] !== name || material[0] !== ED25519) continue;
      const blob = fromBase64(line[2]);
      if (hex(blob.slice(0, 4)) !== id) continue;
      const imported = await crypto.subtle.importKey("raw", material.slice(1), {name: "Ed25519"}, false, ["verify"]);
      if (await crypto.subtle.verify({name: "Ed25519"}, imported, blob.slice(4), utf8.encode(head.text))) return true;
    }
    return false;
  }

  async function signer(head, keys) {
    for (const key of keys) {
      if (await isSigned(head, key)) return key;
    }
    return null;
  }

  // --- one tree begins with another ---

  async function follows(old, now, hashes) {
    const path = hashes.map(fromHex);
    let first = old.size - 1, second = now.size - 1;
    while (first % 2) {
      first = Math.floor(first / 2);
      second = Math.floor(second / 2);
    }
    if (first === 0) path.unshift(fromHex(old.root)); // the older tree is a node of the newer one as it is
    let before = path[0], after = path[0];
    for (const hash of path.slice(1)) {
      if (second === 0) return false;
      if (first % 2 || first === second) {
        before = await node(hash, before);
        after = await node(hash, after);
        while (first && first % 2 === 0) {
          first /= 2;
          second = Math.floor(second / 2);
        }
      } else {
        after = await node(after, hash);
      }
      first = Math.floor(first / 2);
      second = Math.floor(second / 2);
    }
    return second === 0 && hex(before) === old.root && hex(after) === now.root;
  }

  // --- asking, keeping, telling ---

  async function asked(path) {
    const answer = await fetch(path, {cache: "no-store", credentials: "omit"});
    return answer.ok ? answer : null;
  }

  async function known(head, old) {
    const trusted = old === null ? [] : old.keys;
    const key = await signer(head, trusted);
    if (key !== null) return trusted;
    const answer = await asked("/log/keys"); // the first time, or after a key was replaced
    if (answer === null) return null;
    const listed = (await answer.json()).ed25519.map((each) => each.key);
    expect(trusted.every((each) => listed.includes(each)), "a key that signed before is not the log's any more");
    expect((await signer(head, listed)) !== null, "no key of the log signed its head");
    return listed;
  }

  async function compared(old, head) {
    expect(head.origin === old.origin, `it is another log: ${head.origin}`);
    expect(head.size >= old.size, `it has ${head.size} entries, and this browser saw ${old.size}`);
    if (head.size === old.size) {
      expect(head.root === old.root, `its ${old.size} entries are not those that this browser saw`);
      return true;
    }
    const answer = await asked(`/log/consistency/${old.size}/${head.size}`);
    if (answer === null) return false; // nobody can say now; asked again with the next page
    const holds = await follows(old, head, (await answer.json()).hashes);
    expect(holds, `its first ${old.size} entries are not those that this browser saw`);
    return true;
  }

  const said = (text) => {
    const place = document.getElementById("log-watch");
    if (place) {
      place.textContent = text;
      place.hidden = false;
    }
  };

  function evidence() {
    try {
      return JSON.parse(localStorage.getItem(FOUND));
    } catch {
      return null;
    }
  }

  const minute = (text) => new Date(text).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short", timeZone: "UTC"});

  function made(name, text, attributes = {}) {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  // Shown on every page while it is kept; it can be removed once it was taken to a file.
  function show(found) {
    const alert = made("div", "", {class: "alert", role: "alert", id: "log-evidence"});
    const what = found.what === undefined ? "" : `: ${found.what}`;
    const when = found.found_at === undefined ? "" : ` This browser found it on ${minute(found.found_at)} UTC.`;
    const said = made("p", "");
    said.append(made("strong", "The log was changed."), ` It does not follow from what this browser saw${what}.${when} ` +
      "Both signed heads are kept in this browser. Keep them and your receipts, and show them to somebody who can check them.");
    const file = new Blob([`${JSON.stringify(found, null, 2)}\n`], {type: "application/json"});
    const link = made("a", "Download the evidence",
      {class: "button small", download: "log-evidence.json", href: URL.createObjectURL(file)});
    const remove = made("button", "Remove it from this browser", {class: "button small", type: "button", hidden: ""});
    link.addEventListener("click", () => { remove.hidden = false; });
    remove.addEventListener("click", () => {
      localStorage.removeItem(FOUND);
      alert.remove();
    });
    const actions = made("div", "", {class: "evidence"});
    actions.append(link, remove);
    alert.append(said, actions);
    document.getElementById("log-evidence")?.remove();
    document.getElementById("alerts").append(alert);
  }

  function alarm(old, head, what) {
    const before = evidence();
    const isKnown = before !== null && before.seen === old.note && before.what === what;
    const found = isKnown ? before : {what, found_at: new Date().toISOString(), seen: old.note, shown: head.note};
    localStorage.setItem(FOUND, JSON.stringify(found));
    show(found);
  }

  async function watch() {
    const answer = await asked("/log/checkpoint");
    if (answer === null) return;
    const text = localStorage.getItem(KEPT);
    const old = text === null ? null : JSON.parse(text);
    const head = parsed(await answer.text());
    if (head.size === 0) return;
    try {
      const keys = await known(head, old);
      if (keys === null || (old !== null && !(await compared(old, head)))) return;
      const {origin, size, root, note} = head;
      localStorage.setItem(KEPT, JSON.stringify({origin, size, root, note, keys}));
      said(old === null
        ? `From now on this browser checks that nothing is removed from the log (position ${size}).`
        : `This browser checked: nothing it saw was removed from the log since (position ${size}).`);
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      alarm(old ?? head, head, error.message);
    }
  }

  const before = evidence();
  if (before !== null) show(before);
  if (globalThis.crypto?.subtle === undefined) {
    said("This browser checks the log only over https.");
  } else {
    watch().catch(() => said("The log could not be checked from this browser now."));
  }
})();
