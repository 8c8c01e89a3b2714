// Checks a proof about a dataset in this browser alone: the seven steps of docs/absence.md. Joined to check.js.

const PROOF_FORMAT = "withhold/dataset-proof/v1";
const PROOF_MEMBERS = "account,account_entry,dataset,format,present,secret,tag_proof,tagging";
const TAG_BYTES = 32;
const EMPTY = new Uint8Array(TAG_BYTES);
const [ABSENT_EMPTY, ABSENT_OTHER, PRESENT] = [0, 1, 2];

// A file is a proof by what it says it is; then whatever is wrong with it is wrong with a proof.
function proofIn(data) {
  try {
    const text = new TextDecoder("utf-8", {fatal: true}).decode(data);
    const value = JSON.parse(text);
    return value?.format === PROOF_FORMAT ? [value, text] : null;
  } catch {
    return null;
  }
}

// A name that stands twice says one thing to one reader and another to the next: only the last is in the value.
function saysOnce(value, text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[^\s"]+/gs) ?? [];
  const written = tokens.map((each) => (each.startsWith('"') ? JSON.stringify(JSON.parse(each)) : each));
  return written.join("") === JSON.stringify(value);
}

function hashIn(text, what) {
  expect(typeof text === "string" && /^[0-9a-f]{64}$/.test(text), `32 bytes as lower-case hexadecimal in ${what}`);
  return fromHex(text);
}

function isText(value) {
  return typeof value === "string" && !/\p{Surrogate}/u.test(value);
}

function parsedDatasetProof([value, text]) {
  expect(saysOnce(value, text), "every name once");
  const {account, account_entry: opened, dataset, present, secret, tag_proof: tagProof, tagging} = value;
  expect(namesOf(value) === PROOF_MEMBERS && [account, dataset, tagProof].every((each) => typeof each === "string") &&
    [true, false, null].includes(present), `${PROOF_MEMBERS.replaceAll(",", ", ")} in the document, and no more`);
  return {
    said: {account, dataset, present},
    secret: hashIn(secret, "secret"),
    tag: parsedTagProof(fromBase64(tagProof)),
    tagging: parsedEntry(tagging, "event,proof", "tagging"),
    opened: parsedEntry(opened, "event,opening,proof", "account_entry"),
  };
}

function parsedEntry(value, members, where) {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  expect(isObject && namesOf(value) === members && isText(value.event) && isText(value.proof),
    `${members.replaceAll(",", ", ")} in ${where}`);
  const opening = value.opening === undefined ? null : hashIn(value.opening, "opening");
  return {event: value.event, opening, ...parsedProof(value.proof)};
}

function parsedTagProof(data) {
  expect(data.length >= 3 && data[0] <= PRESENT, "a kind, a depth and its levels");
  const [kind, depth] = [data[0], data[1] * 256 + data[2]];
  expect(depth <= 8 * TAG_BYTES, "at most 256 levels");
  let end = 3 + Math.ceil(depth / 8);
  const marks = data.subarray(3, end);
  expect(marks.length === end - 3, "a mark for each level");
  const next = () => data.subarray(end, end += TAG_BYTES);
  const isMarked = (level) => (marks[level >> 3] >> (7 - (level % 8))) % 2 === 1;
  const siblings = Array.from({length: depth}, (_, level) => (isMarked(level) ? next() : EMPTY));
  const other = kind === ABSENT_OTHER ? next() : null;
  const isOneForm = siblings.every((each, level) => each.length === TAG_BYTES && isMarked(level) !== same(each, EMPTY)) &&
    (depth % 8 === 0 || (marks[marks.length - 1] & (255 >> depth % 8)) === 0);
  expect(isOneForm && (other ?? EMPTY).length === TAG_BYTES && end === data.length, "a proof in its one form");
  // the way ends where something is beside it: one tag alone has its place further up
  expect(!depth || isMarked(depth - 1), "a node beside the end of the way");
  return {kind, siblings, other};
}

const bitAt = (tag, level) => (tag[level >> 3] >> (7 - (level % 8))) % 2;

async function rootFrom(tag, {kind, siblings, other}) {
  let node = kind === ABSENT_EMPTY ? EMPTY : await sha256(Uint8Array.of(0), other ?? tag);
  for (let level = siblings.length - 1; level >= 0; level--) {
    const pair = bitAt(tag, level) ? [siblings[level], node] : [node, siblings[level]];
    node = await sha256(Uint8Array.of(1), ...pair);
  }
  return node;
}

async function checkTag(tag, proof, root) {
  if (proof.other) {
    expect(!same(proof.other, tag), "another tag in its place");
    expect(proof.siblings.every((_, level) => bitAt(tag, level) === bitAt(proof.other, level)),
      "another tag that has its place there");
  }
  expect(same(await rootFrom(tag, proof), root), "a proof that leads to the root over the tags");
}

async function entryOf({index, event, opening}) {
  const parts = opening ? ["withhold/leaf/v1\0", opening, event] : ["withhold/public/v1\0", event];
  return bytes("withhold/entry/v1\0", u64(index + 1n), Uint8Array.of(opening ? 0 : 1), await sha256(...parts));
}

const eventOf = (entry) => parsed(utf8.encode(entry.event), "an event");

async function checkAccount(entry, secret) {
  const event = eventOf(entry);
  expect(event.kind === "account_opened" && event.v === 1 && event.sequence === 1, "the entry that opened the account");
  const committed = hashIn(event.tag_secret, "tag_secret");
  expect(same(committed, await sha256("withhold/tag-secret/v1\0", secret)), "the secret that the account's entry commits to");
  expect(typeof event.subject === "string", "an account in its entry");
  return event.subject;
}

function checkTagging(entry) {
  const {kind, v, dataset, manifest, commit} = eventOf(entry);
  expect(kind === "dataset_tagged" && v === 1, "an entry that tags a dataset");
  expect(typeof dataset === "string", "a dataset in the tagging");
  hashIn(manifest, "the manifest of the tagging");
  expect(typeof commit === "number" && commit > 0 && BigInt(commit) <= entry.index, "a commit before the tagging");
  return {dataset, manifest, commit};
}

async function checkedProof(given, keyText, held) {
  const keys = await at("0 (key)", [], () => parsedKeys(keyText));
  const {said, secret, tag, tagging, opened} = await at("1 (form)", held, () => parsedDatasetProof(given));
  const note = await at("2 (checkpoint)", keys.length ? held : [], async () => {
    expect(tagging.note === opened.note, "one checkpoint for both entries");
    const found = await parsedNote(tagging.note);
    if (keys.length) await signersOf(found, keys);
    return found;
  });
  await at("3 (place)", held, async () => {
    for (const each of [tagging, opened]) await checkPlace(await entryOf(each), each.index, each.path, note);
  });
  const account = await at("4 (account)", held, () => checkAccount(opened, secret));
  const version = await at("5 (tagging)", held, () => checkTagging(tagging));
  await at("6 (tag)", held, async () => {
    const root = hashIn(eventOf(tagging).root, "root");
    const own = await sha256("withhold/tag/v1\0", secret, `${version.dataset}:${version.manifest}`);
    await checkTag(own, tag, root);
  });
  const isLater = opened.index >= BigInt(version.commit); // than the commit: it cannot have been in it
  const present = tag.kind === PRESENT ? true : isLater ? null : false;
  await at("7 (claim)", held, () => expect(said.account === account && said.dataset === version.dataset &&
    said.present === present, "the account, the dataset and the claim that follow from its entries"));
  return {account, present, ...version, tagged: tagging.index + 1n, opened: opened.index + 1n, note,
    isSigned: keys.length > 0};
}
