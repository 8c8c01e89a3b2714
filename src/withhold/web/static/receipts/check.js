// Checks a receipt in this browser alone, with WebCrypto: the six steps of docs/receipts.md.
// Nothing is sent anywhere; the page's policy forbids it (connect-src 'none').

const FORMS = {"withhold/receipt/v2": "full", "withhold/redacted-receipt/v2": "redacted"};
const TYPES = {full: "withhold-receipt+jws", redacted: "withhold-redacted-receipt+jws"};
const MEMBERS = {full: "event,format,jws,opening,position,proof", redacted: "format,jws,position,proof"};
const FACTS = "basis,entry,form,holder,kind,label,log,notice,policy,position,product,purpose,recorded_at," +
  "requested_at,status,subject,surface";
const OF_EVENT = ["holder", "kind", "notice", "product", "recorded_at", "requested_at", "subject", "surface"];
const NEVER_NULL = ["entry", "form", "kind", "log", "policy"];
const NUMBERS = ["position", "recorded_at", "requested_at"];
const CHOICES = {opted_out: "dpv:OptingOutFromProcess", opted_in: "dpv:OptingInToProcess"};
const PURPOSES = {model_training: "ai:ModelTraining",
  service_improvement: "dpv:ImproveExistingProductsAndServices"};
const BASES = {consent: "dpv:Consent", legitimate_interest: "dpv:LegitimateInterest"};
const CONTEXT = {
  "ai": "https://w3id.org/dpv/ai#",
  "dct": "http://purl.org/dc/terms/",
  "dpv": "https://w3id.org/dpv#",
  "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
  "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
  "withhold": "urn:withhold:terms:",
  "withhold:facts": {"@type": "@json"},
  "xsd": "http://www.w3.org/2001/XMLSchema#",
};
const MAX_BYTES = 2 * 1024 * 1024;
const MAX_NOTE_BYTES = 128 * 1024;
const MAX_PROOF_BYTES = 256 * 1024;
const MAX_SIGNATURES = 32;
const MAX_HEADER = 1024;
const MAX_DEPTH = 16;
const MAX_TIME = 253402300800000; // the year 10000
const MAX_SIZE = 2n ** 63n - 1n;
const NAME = "[^\\s+\\x00-\\x1f\\x85]+"; // \s has the space of no width, U+FEFF, as well
const ED25519 = 1;
const KEPT = "withhold.log-keys";

const words = JSON.parse(document.getElementById("words").textContent);
const utf8 = new TextEncoder();

class Refused extends Error {}

class Unchecked extends Refused { // what was given says nothing about a receipt: it is the wrong thing
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

const own = (table, name) => (name !== null && Object.hasOwn(table, name) ? table[name] : undefined);

function given(holds, what, advice) {
  if (!holds) throw new Unchecked(`expected ${what}`, advice);
}

function expect(holds, what) {
  if (!holds) throw new Refused(`expected ${what}`);
}

async function at(step, held, work) {
  try {
    const found = await work();
    if (held[held.length - 1] !== step) held.push(step);
    return found;
  } catch (error) {
    if (error instanceof Refused) error.message = `Step ${step}: ${error.message}`;
    throw error;
  }
}

// --- bytes ---

function bytes(...parts) {
  const all = parts.map((part) => (typeof part === "string" ? utf8.encode(part) : part));
  const joined = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of all) {
    joined.set(part, end);
    end += part.length;
  }
  return joined;
}

function same(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}

const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

function fromHex(text) {
  const pairs = typeof text === "string" ? text.match(/../g) ?? [] : [];
  const data = Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
  expect(hex(data) === text, "bytes in lower-case hexadecimal");
  return data;
}

function fromBase64(text) {
  let raw = "";
  try {
    raw = atob(text);
  } catch {
    raw = "";
  }
  expect(btoa(raw) === text, "base64 in its one form");
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}

function fromBase64url(text) {
  expect(/^[A-Za-z0-9_-]*$/.test(text), "base64url in its one form");
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(plain + "=".repeat((4 - (plain.length % 4)) % 4));
}

function u64(number) {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, BigInt(number));
  return data;
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(...parts)));
}

async function holds(key, message, signature) {
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key.public, {name: "Ed25519"}, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") {
      throw new Unchecked("this browser to check Ed25519", "This browser cannot check Ed25519; use a newer one, or withhold verify.");
    }
    return false;
  }
  return crypto.subtle.verify({name: "Ed25519"}, imported, signature, message);
}

// --- forms ---

function canonical(value, depth = MAX_DEPTH) {
  const isInner = typeof value === "object" && value !== null;
  expect(!isInner || depth > 0, `at most ${MAX_DEPTH} lists and objects in each other`);
  if (Array.isArray(value)) return `[${value.map((each) => canonical(each, depth - 1)).join(",")}]`;
  if (!isInner) {
    expect(typeof value !== "number" || Number.isSafeInteger(value), "numbers that are whole and exact");
    return typeof value === "string" ? quoted(value) : JSON.stringify(value);
  }
  const members = Object.keys(value).sort(byCodePoint);
  return `{${members.map((name) => `${quoted(name)}:${canonical(value[name], depth - 1)}`).join(",")}}`;
}

function quoted(text) {
  expect(!/\p{Surrogate}/u.test(text), "texts without halves of characters");
  return JSON.stringify(text);
}

function byCodePoint(one, other) { // as the log writes its events; strings compare by half characters
  const [left, right] = [[...one], [...other]];
  const place = left.findIndex((letter, index) => letter !== right[index]);
  if (place < 0) return left.length - right.length;
  return left[place].codePointAt(0) - (right[place]?.codePointAt(0) ?? -1);
}

function parsed(data, what) {
  let value;
  let isOneForm = false;
  try {
    const text = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(data);
    value = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    isOneForm = isObject && canonical(value) === text;
  } catch {
    isOneForm = false; // not UTF-8, not JSON, nested without end, a number that is not exact, half a character
  }
  expect(isOneForm, `${what} to be canonical JSON, byte for byte as it was given`);
  return value;
}

const namesOf = (value) => Object.keys(value ?? {}).sort().join(",");

// What people choose by mistake; whatever has a receipt's marks in it is a receipt, and holds or does not.
function mistaken(data) {
  const text = new TextDecoder().decode(data);
  if (text.startsWith("%PDF")) {
    return "This is a PDF. The receipt's file is attached inside it: save that attachment, receipt.json, and choose it here.";
  }
  const isProof = text.includes('"withhold/dataset-proof/');
  if (/"(?:jws|proof)"|withhold\/(?:redacted-)?receipt\//.test(text) && !isProof) return null;
  if (isProof) {
    return "This is a proof about a dataset that was cut off or altered, or is of another version. Choose the file as it was given.";
  }
  if (text.trim() && text.trim().split("\n").every((line) => keyIn(line.trim()))) {
    return "This is a file of keys. Put what is in it into the box for the key, and choose the file of a receipt or a proof here.";
  }
  return "This is not the file of a receipt or a proof. Choose the file that the receipt's page, or the list of datasets, gave you; it ends in .json.";
}

function parsedReceipt(data) {
  const advice = mistaken(data);
  given(advice === null, "the file of a receipt or a proof", advice);
  given(data.length <= MAX_BYTES, `at most ${MAX_BYTES} bytes`, "This file is larger than any receipt or proof.");
  const receipt = parsed(data.subarray(0, data[data.length - 1] === 10 ? -1 : undefined), "the file");
  const form = typeof receipt.format === "string" ? own(FORMS, receipt.format) : undefined;
  expect(form && namesOf(receipt) === MEMBERS[form], "the members of a receipt");
  const {event, jws, opening, position, proof} = receipt;
  expect([jws, proof, ...(form === "full" ? [event, opening ?? ""] : [])].every((text) => typeof text === "string"),
    "texts where a receipt has texts");
  expect(typeof position === "number" && position > 0, "a position");
  expect((opening ?? null) === null || fromHex(opening).length === 32, "an opening of 32 bytes");
  return [receipt, form, parsedJws(jws), parsedProof(proof)];
}

function parsedJws(text) {
  const parts = text.split(".");
  expect(parts.length === 3, "a signed statement of three parts");
  expect(parts[0].length <= MAX_HEADER, `a header of at most ${MAX_HEADER} characters`);
  const [header, payload, signature] = parts.map(fromBase64url);
  const said = parsed(header, "the header");
  expect(namesOf(said) === "alg,cty,kid,typ" && said.alg === "Ed25519" && said.cty === "ld+json" &&
    typeof said.typ === "string", "a header of alg Ed25519, cty, kid and typ, and no more");
  expect(typeof said.kid === "string" && /^[!-~]{1,255}$/.test(said.kid), "a header that names a key");
  expect(signature.length === 64, "a signature of 64 bytes");
  return {kid: said.kid, type: said.typ, payload, signature, message: utf8.encode(`${parts[0]}.${parts[1]}`)};
}

function parsedProof(text) {
  expect(bytes(text).length <= MAX_PROOF_BYTES, `a proof of at most ${MAX_PROOF_BYTES} bytes`);
  const end = text.indexOf("\n\n");
  expect(end > 0, "a proof and a checkpoint below it");
  const lines = text.slice(0, end).split("\n");
  expect(lines.shift() === "c2sp.org/tlog-proof@v1", "a proof of the first version");
  const index = /^index (0|[1-9][0-9]{0,18})$/.exec(lines.shift() ?? "");
  expect(index && BigInt(index[1]) <= MAX_SIZE, "the index of the entry");
  expect(lines.length <= 63, "a proof that is no longer than any");
  const path = lines.map(fromBase64);
  expect(path.every((hash) => hash.length === 32), "hashes of 32 bytes");
  return {index: BigInt(index[1]), path, note: text.slice(end + 2)};
}

async function parsedNote(note) {
  expect(bytes(note).length <= MAX_NOTE_BYTES, `a checkpoint of at most ${MAX_NOTE_BYTES} bytes`);
  expect(!/[\x00-\x09\x0b-\x1f]/.test(note), "no control characters but newlines");
  const end = note.lastIndexOf("\n\n") + 1;
  expect(end > 1, "a checkpoint and signatures below it");
  const [text, below] = [note.slice(0, end), note.slice(end + 1)];
  const lines = text.split("\n");
  expect(lines.pop() === "" && lines.length >= 3 && lines.every(Boolean), "origin, size and root");
  expect(/^(0|[1-9][0-9]{0,18})$/.test(lines[1]) && BigInt(lines[1]) <= MAX_SIZE, "a decimal size");
  const [size, root] = [BigInt(lines[1]), fromBase64(lines[2])];
  expect(root.length === 32 && (size > 0n || same(root, await sha256())), "the root of a tree");
  const signatures = below.split("\n");
  expect(signatures.pop() === "" && signatures.length > 0, "signature lines that end in a newline");
  expect(signatures.length <= MAX_SIGNATURES, `at most ${MAX_SIGNATURES} signatures`);
  const signed = signatures.map((line) => {
    const found = new RegExp(`^\u2014 (${NAME}) ([A-Za-z0-9+/=]+)$`).exec(line);
    expect(found, "lines of a dash, a name and a signature");
    const raw = fromBase64(found[2]);
    expect(raw.length > 4, "a signature in each line");
    return {name: found[1], id: hex(raw.slice(0, 4)), signature: raw.slice(4)};
  });
  return {text, origin: lines[0], size, root, signed};
}

const TYPE_AGAIN = "The key is not one, or was mistyped. Copy it again as it was given to you, with its name, " +
  "one a line. This says nothing about the file.";

const keyIn = (line) => new RegExp(`^(${NAME})\\+([0-9a-f]{8})\\+([A-Za-z0-9+/=]+)$`).exec(line);

async function parsedKeys(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Promise.all(lines.map(async (line) => {
    const found = keyIn(line);
    given(found, "keys of the form NAME+8 hex digits+base64, one a line", TYPE_AGAIN);
    let raw;
    try {
      raw = fromBase64(found[3]);
    } catch (error) {
      throw new Unchecked(error.message, TYPE_AGAIN);
    }
    const id = hex((await sha256(found[1], "\n", raw)).slice(0, 4));
    given(id === found[2], `a key whose id is ${id}`, TYPE_AGAIN);
    return {name: found[1], id, type: raw[0], public: raw.slice(1)};
  }));
}

function checkedFacts(facts, form) {
  expect(namesOf(facts) === FACTS && facts.form === form, "exactly the facts of a receipt of its format");
  const texts = FACTS.split(",").filter((name) => !NUMBERS.includes(name));
  expect(texts.every((name) => typeof facts[name] === "string" ||
    (facts[name] === null && !NEVER_NULL.includes(name))), "facts of their types");
  expect(typeof facts.position === "number" && facts.position > 0 &&
    [facts.recorded_at, facts.requested_at ?? 0].every((time) =>
      typeof time === "number" && time >= 0 && time < MAX_TIME), "a position and times");
  expect(["in", null].some((before) => statusOf(facts.kind, before, facts.basis) === facts.status),
    "a status that an entry of this kind can have");
  if (form === "redacted") {
    expect(facts.subject === null && facts.surface === null && facts.requested_at === null,
      "a redacted receipt that tells nothing of whose it is");
  }
  return facts;
}

// --- the statement, written anew from its facts by the template of docs/formats.md ---

const isTold = (value) => value !== null;
const timeOf = (ms) => ({"@type": "xsd:dateTime", "@value": new Date(ms).toISOString()});

function statusOf(kind, before, basis) {
  if (!Object.hasOwn(CHOICES, kind)) return null;
  const isOut = kind === "opted_out";
  if (basis === "legitimate_interest") return isOut ? "LegitimateInterestObjected" : "LegitimateInterestNotObjected";
  if (!isOut) return "ConsentGiven";
  return before === "in" ? "ConsentWithdrawn" : "ConsentRefused";
}

function statement(facts) {
  const id = `${facts.log}/${facts.position}`;
  const found = {
    "@context": CONTEXT,
    "@id": `urn:withhold:receipt:${id}`,
    "@type": "withhold:Receipt",
    "dct:identifier": id,
    "withhold:facts": facts,
  };
  if (!isTold(facts.status)) return canonical(found);
  return canonical({...found, "@type": "dpv:ConsentReceipt", "dct:conformsTo": {"@id": "dpv-27560:receipt"},
    "dpv:hasRecordOfActivity": record(facts, id)});
}

function record(facts, id) {
  const status = {"@type": `dpv:${facts.status}`};
  if (isTold(facts.surface)) status["dpv:hasIndicationMethod"] = facts.surface;
  if (isTold(facts.requested_at)) status["dpv:isIndicatedAtTime"] = timeOf(facts.requested_at);
  const found = {
    "@type": "dpv:ConsentRecord",
    "dct:conformsTo": {"@id": "dpv-27560:record"},
    "dct:created": timeOf(facts.recorded_at),
    "dct:identifier": id,
    "dpv:hasConsentStatus": status,
    "dpv:hasDataController": {"@type": "dpv:DataController", "dct:identifier": facts.log},
    "dpv:hasProcess": usage(facts),
  };
  if (isTold(facts.subject)) {
    const kind = facts.holder === "organization" ? "dpv:Organisation" : "dpv:DataSubject";
    found["dpv:hasDataSubject"] = {"@type": kind, "dct:identifier": facts.subject};
  }
  if (isTold(facts.notice)) found["dpv:hasNotice"] = {"@type": "dpv:PrivacyNotice", "dct:identifier": facts.notice};
  return found;
}

function usage(facts) {
  const found = {
    "@type": "dpv:Process",
    "dct:identifier": facts.product,
    "dct:title": facts.label,
    "dpv:hasEntityInvolvement": {"@id": CHOICES[facts.kind]},
    "dpv:hasLegalBasis": {"@id": own(BASES, facts.basis) ?? "dpv:LegalBasis"},
  };
  if (isTold(facts.purpose)) found["dpv:hasPurpose"] = {"@id": own(PURPOSES, facts.purpose) ?? "dpv:Purpose"};
  if (facts.status === "LegitimateInterestObjected") found["dpv:hasRight"] = {"@id": "eu-gdpr:A21"};
  return found;
}

// --- steps ---

function checkStatement(receipt, form, jws) {
  expect(jws.type === TYPES[form], "a statement for a receipt of this format");
  const facts = checkedFacts(parsed(jws.payload, "the statement")["withhold:facts"], form);
  expect(same(utf8.encode(statement(facts)), jws.payload),
    "a statement that says what its facts say, and no more");
  expect(receipt.position === facts.position, "the position that the file names");
  const entry = fromHex(facts.entry);
  const begin = bytes("withhold/entry/v1\0", u64(facts.position));
  expect(entry.length === begin.length + 33 && entry[begin.length] <= 1 &&
    same(entry.subarray(0, begin.length), begin), "the bytes of an entry at its position");
  return [facts, entry];
}

async function checkRecord(receipt, facts, entry) {
  const parts = receipt.opening === null
    ? ["withhold/public/v1\0", receipt.event]
    : ["withhold/leaf/v1\0", fromHex(receipt.opening), receipt.event];
  const isPublic = receipt.opening === null ? 1 : 0;
  const made = bytes("withhold/entry/v1\0", u64(facts.position), Uint8Array.of(isPublic), await sha256(...parts));
  expect(same(made, entry), "an event and an opening that give the entry");
  const event = parsed(utf8.encode(receipt.event), "the event");
  expect(OF_EVENT.every((name) => (event[name] ?? null) === facts[name]),
    "a statement that says what the event says");
  expect(statusOf(facts.kind, event.before, facts.basis) === facts.status, "a status that is that of the event");
}

async function checkPlace(entry, index, path, note) {
  expect(index < note.size, "a position inside the tree");
  let hash = await sha256(Uint8Array.of(0), entry);
  let [fn, sn] = [index, note.size - 1n];
  const up = () => { [fn, sn] = [fn / 2n, sn / 2n]; };
  for (const next of path) {
    expect(sn !== 0n, "a shorter proof");
    if (fn % 2n === 1n || fn === sn) {
      hash = await sha256(Uint8Array.of(1), next, hash);
      while (fn % 2n === 0n && fn !== 0n) up();
    } else {
      hash = await sha256(Uint8Array.of(1), hash, next);
    }
    up();
  }
  expect(sn === 0n && same(hash, note.root), "a proof that leads to the root of the tree");
}

async function signersOf(note, keys) {
  const signers = [];
  given(keys.some((key) => key.name === note.origin), `the public key of the log ${note.origin}`,
    `The key is of another log than the file, which names ${note.origin}. Enter the key of that log, if it is the ` +
    "log that you expect; if not, the file is not from there.");
  for (const line of note.signed) {
    const key = keys.find((each) => each.name === line.name && each.id === line.id);
    if (!key || key.type !== ED25519) continue;
    expect(await holds(key, utf8.encode(note.text), line.signature), "a signature of the checkpoint that holds");
    if (key.name === note.origin) signers.push(key);
  }
  expect(signers.length > 0, "a checkpoint that one of these keys signed; the log may have a newer key");
  return signers;
}

const STEPS = [
  ["1 (form)", "The file has the form of a receipt."],
  ["2 (statement)", "The statement says what its facts say, and no more."],
  ["3 (record)", "The record of the event is the one that the log committed to."],
  ["4 (checkpoint)", "The head of the log is signed by the key."],
  ["5 (place)", "The entry stands in the log at its position."],
  ["6 (signature)", "The statement is signed by the same key."],
];

async function checked(data, keyText, held) {
  const keys = await at("0 (key)", [], () => parsedKeys(keyText));
  const [receipt, form, jws, proof] = await at("1 (form)", held, () => parsedReceipt(data));
  const [facts, entry] = await at("2 (statement)", held, () => checkStatement(receipt, form, jws));
  if (form === "full") await at("3 (record)", held, () => checkRecord(receipt, facts, entry));
  const [note, signers] = await at("4 (checkpoint)", keys.length ? held : [], async () => {
    const parsed = await parsedNote(proof.note);
    expect(parsed.origin === facts.log, "a checkpoint of the log that the statement names");
    return [parsed, keys.length ? await signersOf(parsed, keys) : []];
  });
  await at("5 (place)", held, async () => {
    expect(proof.index + 1n === BigInt(facts.position), "a proof for the position of the entry");
    await checkPlace(entry, proof.index, proof.path, note);
  });
  await at("6 (signature)", keys.length ? held : [], async () => {
    const key = signers.find((each) => `${each.name}+${each.id}` === jws.kid);
    expect(!keys.length || key, "a statement signed by a key that signed the checkpoint");
    expect(!key || await holds(key, jws.message, jws.signature), "a signature of the statement that holds");
  });
  return {facts, size: note.size, kid: jws.kid, isSigned: keys.length > 0};
}
