// The page around check.js: takes keys and a file, and tells in plain words what came of it. Joined to it as one script.

const place = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en-GB");
const when = (ms) => (ms === null ? "" : `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`);

function title(facts) {
  const holds = own(words.holds, facts.kind);
  if (!holds) return own(words.entries, facts.kind) ?? facts.kind.replaceAll("_", " ");
  const whoseData = facts.form === "full" ? own(words.whose_data, facts.holder) : undefined;
  const use = own(words.uses, facts.purpose) ?? "Use of";
  return `${[use, whoseData, facts.label ?? facts.product].filter(Boolean).join(" ")} data: ${holds}`;
}

const isPublic = (facts) => facts.form === "full" && facts.subject === null;

function whose(facts) {
  if (facts.form === "redacted") return "not told in this form";
  if (isPublic(facts)) return "nobody's: a public entry";
  return facts.holder ? `${facts.holder} ${facts.subject}` : facts.subject;
}

const stated = (lines) => lines.filter(([, value]) => value !== "");

function plain(facts) {
  const [requested, recorded] = [when(facts.requested_at), when(facts.recorded_at)];
  return stated([
    ["Whose", whose(facts)],
    ["Product", facts.label ?? facts.product ?? ""],
    ["Used for", own(words.purposes, facts.purpose) ?? ""],
    ["Position", count(facts.position)],
    ["Requested", requested === recorded ? "" : requested],
    ["Recorded", recorded],
    ["In effect", `from position ${count(facts.position)} on, which was on disk before it was confirmed`],
    ["Control", own(words.surfaces, facts.surface) ?? facts.surface ?? ""],
    ["Notice", facts.notice === null ? "" : `version ${facts.notice}`],
    ["Legal basis", own(words.bases, facts.basis) ?? ""],
  ]);
}

function technical({facts, size, kid}) {
  return stated([
    ["Product id", facts.product ?? ""],
    ["Log", facts.log],
    ["Policy", `SHA-256 ${facts.policy}`],
    ["Status", facts.status === null ? "" : `dpv:${facts.status}`],
    ["Proven in", `the tree of ${count(size)} entries`],
    ["Signed with", kid],
  ]);
}

function made(name, text, attributes = {}, parts = []) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...parts);
  return element;
}

function list(lines) {
  return made("dl", "", {}, lines.map(([name, value]) => made("div", "", {}, [made("dt", name), made("dd", value)])));
}

const folded = (summary, content) => made("details", "", {}, [made("summary", summary), content]);

function stepsOf(held, steps) {
  const found = steps.filter(([step]) => held.includes(step));
  if (!found.length) return [];
  const lines = found.map(([step, said]) => made("li", `${step}: ${said}`));
  return [folded(`${found.length} ${found.length === 1 ? "step" : "steps"} that held`, made("ul", "", {}, lines))];
}

const VERDICTS = { // the words, and the shape of the icon, which says it without its colour
  holds: ["The {file} holds", "M7 12.5l3.5 3.5L17 9"],
  unsigned: ["Nobody is known to have signed this", "M12 7v6M12 16.5v.5"],
  unchecked: ["Could not be checked", "M12 7v6M12 16.5v.5"],
  fails: ["The {file} does not hold", "M8 8l8 8M16 8l-8 8"],
  waits: ["Checking", ""],
};

function icon(shape) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  element.setAttribute("viewBox", "0 0 24 24");
  element.setAttribute("aria-hidden", "true");
  path.setAttribute("d", `M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z${shape}`);
  element.append(path);
  return element;
}

function show(verdict, file, lead, ...rest) {
  const result = place("result");
  const [said, shape] = VERDICTS[verdict];
  result.dataset.verdict = verdict;
  result.replaceChildren(made("h2", "", {}, [icon(shape), said.replace("{file}", file)]), made("p", lead), ...rest);
}

const bullets = (lines) => made("ul", "", {}, lines.map((each) => made("li", each)));
const leadOf = (isSigned) => (isSigned ? "Every step holds, with the key below."
  : "Everything but who signed was checked, and holds. Enter the log's public key.");

function showReceipt(found, held) {
  const {facts, isSigned} = found;
  const worth = words[isPublic(facts) ? "public" : facts.form];
  show(isSigned ? "holds" : "unsigned", "receipt", leadOf(isSigned),
    made("h3", title(facts), {class: "what"}), list(plain(facts)), folded("Technical", list(technical(found))),
    ...stepsOf(held, STEPS),
    made("h3", isSigned ? "What it proves" : "What it would prove, once it is known who signed"), made("p", worth.proves),
    made("h3", "What it does not prove"), bullets(worth.does_not));
}

function showProof(found, held) {
  const {account, dataset, present, isSigned, note} = found;
  const claim = words.proof.claims[present].replaceAll("{dataset}", () => dataset).replaceAll("{account}", () => account);
  show(isSigned ? "holds" : "unsigned", "proof", leadOf(isSigned),
    made("h3", isSigned ? "What it shows" : "What it would show, once it is known who signed"), made("p", claim, {class: "what"}),
    list([["Account", account], ["Account opened", `at position ${count(found.opened)}`], ["Dataset", dataset],
      ["Committed", `at position ${count(found.commit)}`]]),
    folded("Technical", list([["Tagged", `at position ${count(found.tagged)}`], ["Manifest", `SHA-256 ${found.manifest}`],
      ["Log", note.origin], ["Proven in", `the tree of ${count(note.size)} entries`]])),
    ...stepsOf(held, words.proof.steps),
    made("h3", "What it does not prove"), bullets(words.proof.does_not));
}

function showRefusal(error, held, file, steps) {
  if (error instanceof Unchecked) {
    show("unchecked", file, error.advice, made("p", `${error.message}.`, {class: "quiet"}), ...stepsOf(held, steps));
  } else if (error instanceof Refused) {
    show("fails", file, `${error.message}.`, ...stepsOf(held, steps));
  } else {
    show("unchecked", file, "This browser could not check it; use a newer one, or withhold verify.");
    console.error(error);
  }
}

let latest = null;
let turn = 0;

async function check() {
  if (!latest) return;
  const mine = ++turn;
  const proof = latest.length > MAX_BYTES ? null : proofIn(latest);
  const file = proof ? "proof" : "receipt";
  show("waits", file, "This takes a moment.");
  const held = [];
  try {
    const found = await (proof ? checkedProof(proof, place("keys").value, held) : checked(latest, place("keys").value, held));
    if (mine === turn) (proof ? showProof : showReceipt)(found, held);
  } catch (error) {
    if (mine === turn) showRefusal(error, held, file, proof ? words.proof.steps : STEPS);
  }
}

function forget() {
  turn++;
  latest = null;
  place("chosen").textContent = "";
  place("result").replaceChildren();
  delete place("result").dataset.verdict;
}

async function take(file, dropped = "") {
  if (!file) return forget();
  place("chosen").textContent = dropped;
  latest = new Uint8Array(await file.slice(0, MAX_BYTES + 1).arrayBuffer());
  await check();
  place("result").scrollIntoView({block: "nearest"});
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // no storage, for example in a private window
  }
}

function keep() {
  try {
    if (place("keep").checked) localStorage.setItem(KEPT, place("keys").value);
    else localStorage.removeItem(KEPT);
  } catch {
    place("keep").checked = false;
  }
}

function showSource() { // the key is the server's as long as nobody put another one in its place
  const source = place("key-source");
  if (source) source.hidden = place("keys").value !== place("keys").defaultValue;
}

const before = kept();
if (before) {
  place("keys").value = before;
  place("keep").checked = true;
}
showSource();
place("keys").addEventListener("input", () => { showSource(); keep(); check(); });
place("keep").addEventListener("change", keep);
place("file").addEventListener("change", (event) => take(event.target.files[0]));
const drop = place("drop");
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) take(file, `Dropped: ${file.name}`);
});
document.documentElement.dataset.ready = "";
