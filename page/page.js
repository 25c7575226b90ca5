// The page at /: search, one person, creation, count. Text of people reaches the document as text only.

const LIMIT = 50; // people in an answer
const PAUSE = 150; // milliseconds between the last key and the search
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

// The API has the same dialects. A form's field has the name of its key here.
const DIALECTS = {
  pt: { people: "/pessoas", count: "/contagem-pessoas", term: "t", nickname: "apelido", name: "nome", birthDate: "nascimento", skills: "stack" },
  en: { people: "/users", count: "/users-count", term: "q", nickname: "nickname", name: "fullname", birthDate: "dob", skills: "stack" },
};
const FIELDS = ["nickname", "name", "birthDate", "skills"];

const TEXTS = {
  pt: {
    locale: "pt-BR", skip: "Ir para a busca", brand: "pessoas", pages: "Páginas", language: "Idioma",
    title: "Pessoas por qualquer trecho", termLabel: "Trecho do apelido, do nome ou da stack",
    hint: "Maiúsculas e acentos não importam: jose encontra JOSÉ.", found: "Pessoas encontradas",
    people: (n, number) => [number, n === 1 ? " pessoa" : " pessoas"],
    countFails: "O número de pessoas não está disponível agora.",
    results: (n) => n === 0 ? "Nenhuma pessoa encontrada" : n === 1 ? "1 pessoa encontrada" : `${n} pessoas encontradas`,
    manyResults: "50 pessoas ou mais; estas são 50 delas",
    nobody: (term) => `Nenhum apelido, nome ou item de stack contém “${term}”.`,
    firstPerson: "Ainda não há ninguém aqui. ", examples: "Por exemplo", createFirst: "Crie a primeira pessoa",
    failed: (seconds) => `O serviço não conseguiu responder agora. Tente de novo em ${seconds} s.`,
    offline: "O serviço não respondeu. Ele está no ar?", again: "Tentar de novo",
    tooLong: "O trecho é longo demais.", unknown: "Nenhuma pessoa tem este id.", back: "Voltar à busca",
    created: "Criada em", id: "Id", share: "Link desta pessoa", copy: "Copiar", copied: "Copiado", json: "Ver em JSON",
    none: "nenhuma", noStack: "não informada",
    create: "Criar", contract: "Contrato", browser: "Explorar a API", createTitle: "Criar uma pessoa",
    nickname: "Apelido", name: "Nome", birthDate: "Nascimento", skills: "Stack",
    nicknameRule: "Até 32 caracteres; só uma pessoa tem cada apelido", nameRule: "Até 100 caracteres",
    skillsRule: "Opcional; uma por linha, até 32 caracteres cada",
    createButton: "Criar", creating: "Criando…", done: "Gravada: ",
    doubtful: "Não se sabe se a pessoa foi gravada. Envie de novo: nunca fica em dobro.",
    contractTitle: "O contrato em resumo", read: "Ler", searchVerb: "Buscar", countVerb: "Contar", fragment: "TRECHO",
    createAnswer: "201 e a pessoa, já gravada em disco; 400 ou 422 e o campo com erro",
    readAnswer: "200 e a pessoa, ou 404", searchAnswer: "200 e até 50 pessoas; 400 sem trecho",
    countAnswer: "200 e o número exato, em texto", example: "Um exemplo no terminal",
    tryIt: "Experimente cada operação em /docs", wholeContract: "O contrato completo: openapi.yaml",
    // What is wrong with a field, by the service's explanation of it.
    details: [
      [/ is taken$/, "Outra pessoa já tem este apelido."], [/ is (missing|empty)$/, "Preencha este campo."],
      [/ is longer than (\d+) characters$/, "Passa de $1 caracteres."],
      [/ has a control character$/, "Tem um caractere de controle."],
      [/ is not a date that exists$/, "Esta data não existe."], [/ is not of the form YYYY-MM-DD$/, "Não é uma data."],
    ],
  },
  en: {
    locale: "en", skip: "Skip to search", brand: "people", pages: "Pages", language: "Language",
    title: "People by any fragment", termLabel: "Fragment of nickname, name or skill",
    hint: "Case and accents do not matter: jose finds JOSÉ.", found: "People found",
    people: (n, number) => [number, n === 1 ? " person" : " people"],
    countFails: "The number of people is not available now.",
    results: (n) => n === 0 ? "Nobody found" : n === 1 ? "1 person found" : `${n} people found`,
    manyResults: "50 people or more; these are 50 of them",
    nobody: (term) => `No nickname, name or skill contains “${term}”.`,
    firstPerson: "Nobody is here yet. ", examples: "For example", createFirst: "Create the first person",
    failed: (seconds) => `The service could not answer now. Try again in ${seconds} s.`,
    offline: "The service did not answer. Is it running?", again: "Try again",
    tooLong: "The fragment is too long.", unknown: "No person has this id.", back: "Back to search",
    created: "Created", id: "Id", share: "Link to this person", copy: "Copy", copied: "Copied", json: "View as JSON",
    none: "none", noStack: "not given",
    create: "Create", contract: "Contract", browser: "Explore the API", createTitle: "Create a person",
    nickname: "Nickname", name: "Name", birthDate: "Birth date", skills: "Skills",
    nicknameRule: "Up to 32 characters; no two people share a nickname", nameRule: "Up to 100 characters",
    skillsRule: "Optional; one a line, up to 32 characters each",
    createButton: "Create", creating: "Creating…", done: "Stored: ",
    doubtful: "It is unknown whether the person was stored. Send again: nobody is stored twice.",
    contractTitle: "The contract in short", read: "Read", searchVerb: "Search", countVerb: "Count", fragment: "FRAGMENT",
    createAnswer: "201 and the person, already on disk; 400 or 422 and the field at fault",
    readAnswer: "200 and the person, or 404", searchAnswer: "200 and up to 50 people; 400 without a fragment",
    countAnswer: "200 and the exact number, as text", example: "An example for the terminal",
    tryIt: "Try each operation at /docs", wholeContract: "The whole contract: openapi.yaml",
    details: [
      [/ is taken$/, "Another person has this nickname."], [/ is (missing|empty)$/, "Fill in this field."],
      [/ is longer than (\d+) characters$/, "It is longer than $1 characters."],
      [/ has a control character$/, "It has a control character."],
      [/ is not a date that exists$/, "This date does not exist."], [/ is not of the form YYYY-MM-DD$/, "It is not a date."],
    ],
  },
};

const byId = (id) => document.getElementById(id);
const term = byId("term"), people = byId("people"), person = byId("person"), notice = byId("notice"), form = byId("new");

let language = remembered() ?? (navigator.language.toLowerCase().startsWith("pt") ? "pt" : "en");
let texts = TEXTS[language], dialect = DIALECTS[language];
// What the page shows; a change of the language shows it again.
let count = null; // null: not known yet; a Failure
let shown = { kind: "nothing" }; // or people, person, failure
let outcome = { kind: "nothing" }; // of the last creation: busy, created, failure

/** The language that was chosen by hand, if the browser keeps such things. */
function remembered() {
  try {
    const chosen = localStorage.getItem("language");
    return chosen in TEXTS ? chosen : null;
  } catch {
    return null;
  }
}

/** A request that was not answered as wished: the HTTP status (0: no answer), and the problem in the body. */
class Failure extends Error {
  constructor(status, problem = {}, seconds = 1) {
    super(problem.detail ?? problem.title ?? "");
    Object.assign(this, { status, field: problem.field, seconds });
  }
}

/** The answer to a request; throws a Failure, or AbortError if the request was given up. */
async function request(path, options = {}) {
  let answer, body;
  try {
    answer = await fetch(path, options);
    body = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0);
  }
  if (answer.ok) return body;
  let problem;
  try { problem = JSON.parse(body); } catch { /* a proxy may answer anything */ }
  throw new Failure(answer.status, problem ?? {}, answer.headers.get("Retry-After") ?? 1);
}

/** A person of any dialect, with the names of FIELDS. */
function toPerson(document) {
  const from = "nome" in document ? DIALECTS.pt : DIALECTS.en;
  return { id: document.id, ...Object.fromEntries(FIELDS.map((field) => [field, document[from[field]]])) };
}

/** An element with properties and children; strings become text. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Highlighting

/** Text without case and accents, and for each unit of it the place in the original. */
function fold(text) {
  let folded = "", place = 0;
  const places = [];
  for (const character of text) {
    // Upper case first: ß becomes SS, as the collation has it.
    const plain = character.normalize("NFKD").replace(/\p{Mn}/gu, "").toUpperCase().toLowerCase();
    folded += plain;
    for (let unit = 0; unit < plain.length; unit++) places.push(place);
    place += character.length;
  }
  return { folded, places: [...places, text.length] };
}

/** The text as nodes, with each hit of the term in a <mark>; without a hit that is seen, the text alone. */
function highlighted(text, wanted) {
  const { folded, places } = fold(text), hit = fold(wanted).folded;
  const nodes = [];
  let written = 0;
  for (let at = folded.indexOf(hit); hit && at >= 0; at = folded.indexOf(hit, at + hit.length)) {
    let end = at + hit.length;
    while (end < folded.length && places[end] === places[end - 1]) end++; // a whole character
    const [from, to] = [Math.max(places[at], written), places[end]];
    if (to <= from) continue;
    nodes.push(text.slice(written, from), element("mark", {}, text.slice(from, to)));
    written = to;
  }
  return [...nodes, text.slice(written)];
}

// What is shown

function formatted(date) {
  const options = { dateStyle: "medium", timeZone: "UTC" };
  return element("time", { dateTime: date }, new Intl.DateTimeFormat(texts.locale, options).format(new Date(date)));
}

function skillList(skills, wanted) {
  const items = skills.map((skill) => element("li", {}, ...highlighted(skill, wanted)));
  return element("ul", { className: "skills" }, ...items);
}

function card(one, wanted) {
  const link = element("a", { href: `#id=${one.id}` }, ...highlighted(one.name, wanted));
  const nickname = element("span", { className: "nickname" }, ...highlighted(one.nickname, wanted));
  const facts = element("p", {}, nickname, " · ", formatted(one.birthDate));
  return element("li", {}, element("h2", {}, link), facts, ...(one.skills?.length ? [skillList(one.skills, wanted)] : []));
}

function details(one) {
  const skills = one.skills?.length ? skillList(one.skills, "") : element("span", {}, one.skills ? texts.none : texts.noStack);
  const rows = [[texts.nickname, one.nickname], [texts.birthDate, formatted(one.birthDate)], [texts.skills, skills]];
  if (one.id[14] === "7") { // such an id begins with the time
    const time = new Date(parseInt(one.id.replace("-", "").slice(0, 12), 16));
    const text = new Intl.DateTimeFormat(texts.locale, { dateStyle: "medium", timeStyle: "medium" }).format(time);
    rows.push([texts.created, element("time", { dateTime: time.toISOString() }, text)]);
  }
  rows.push([texts.id, element("code", {}, one.id)]);
  const list = element("dl", {}, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  const link = element("input", { id: "link", readOnly: true, value: `${location.origin}/#id=${one.id}`, onfocus: () => link.select() });
  const copy = element("button", { type: "button", onclick: () => copyLink(link, copy) }, texts.copy);
  const share = element("div", { className: "share" }, element("label", { htmlFor: "link" }, texts.share), link, copy);
  const json = element("a", { href: `${dialect.people}/${one.id}` }, texts.json);
  return [backLink(), element("h2", { id: "name" }, one.name), list, share, element("p", {}, json)];
}

function backLink() {
  const target = `#${new URLSearchParams({ q: term.value })}`;
  return element("p", {}, element("a", { href: target, className: "back" }, texts.back));
}

/** Copy the link; without a clipboard, as on plain HTTP, the old way. */
async function copyLink(link, button) {
  try {
    await navigator.clipboard.writeText(link.value);
  } catch {
    link.select();
    document.execCommand("copy");
  }
  button.textContent = texts.copied;
  byId("status").textContent = texts.copied;
}

function failureText(failure) {
  if (failure.status === 0) return texts.offline;
  if (failure.status === 404) return texts.unknown;
  if (failure.status === 414) return texts.tooLong;
  return failure.status >= 500 ? texts.failed(failure.seconds) : failure.message;
}

function showCount() {
  const place = byId("count");
  place.dataset.state = count === null ? "loading" : count instanceof Failure ? "failed" : "known";
  if (count === null) return;
  if (count instanceof Failure) return void (place.textContent = texts.countFails);
  const [number, word] = texts.people(count, new Intl.NumberFormat(texts.locale).format(count));
  place.replaceChildren(element("strong", {}, number), word);
}

function show() {
  const { kind } = shown;
  const isEmpty = kind === "people" && shown.people.length === 0;
  people.hidden = kind !== "people" || isEmpty;
  person.hidden = kind !== "person";
  byId("status").textContent =
    kind === "people" ? (shown.people.length < LIMIT ? texts.results(shown.people.length) : texts.manyResults)
    : kind === "failure" ? failureText(shown.failure) : "";
  people.replaceChildren(...(kind === "people" ? shown.people.map((one) => card(one, shown.term)) : []));
  person.replaceChildren(...(kind === "person" ? details(shown.person) : []));
  byId("examples").hidden = !(kind === "nothing" && count > 0);
  document.title = kind === "person" ? shown.person.name : texts.title;
  const content =
    isEmpty ? [texts.nobody(shown.term)]
    : kind === "failure" ? [shown.failure.status === 404 ? backLink() : element("button", { type: "button", onclick: route }, texts.again)]
    : kind === "nothing" && count === 0 ? [texts.firstPerson, element("a", { href: "#create" }, texts.createFirst)] : [];
  notice.hidden = content.length === 0;
  notice.replaceChildren(...content);
}

function showOutcome() {
  const { kind, failure } = outcome;
  const button = form.querySelector("button");
  button.textContent = kind === "busy" ? texts.creating : texts.createButton;
  button.setAttribute("aria-disabled", kind === "busy");
  const atFault = FIELDS.find((field) => failure?.field && Object.values(DIALECTS).some((one) => one[field] === failure.field));
  for (const field of FIELDS) {
    const place = form.querySelector(`[data-field=${field}]`);
    place.querySelector(".error").textContent = field === atFault ? fieldError(failure) : "";
    place.querySelector("input, textarea").setAttribute("aria-invalid", field === atFault);
  }
  byId("outcome").classList.toggle("failed", kind === "failure");
  byId("outcome").replaceChildren(
    ...(kind === "created" ? [texts.done, element("a", { href: `#id=${outcome.person.id}` }, outcome.person.name)]
      : kind === "failure" && !atFault ? [failure.status >= 500 || failure.status === 0 ? texts.doubtful : failure.message] : []),
  );
  return atFault;
}

/** What is wrong with a field, in the language; the service's own words if they are new. */
function fieldError(failure) {
  const known = texts.details.find(([detail]) => detail.test(failure.message));
  return known ? known[1].replace("$1", failure.message.match(known[0])[1]) : failure.message;
}

function showTexts() {
  [texts, dialect] = [TEXTS[language], DIALECTS[language]];
  document.documentElement.lang = texts.locale;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = texts[place.dataset.text];
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", texts[place.dataset.label]);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  }
  const operations = {
    create: `POST ${dialect.people}`, read: `GET ${dialect.people}/{id}`,
    search: `GET ${dialect.people}?${dialect.term}=${texts.fragment}`, count: `GET ${dialect.count}`,
  };
  for (const place of document.querySelectorAll("[data-operation]")) place.textContent = operations[place.dataset.operation];
  const example = { [dialect.nickname]: "ana", [dialect.name]: "Ana Conceição", [dialect.birthDate]: "1985-09-23", [dialect.skills]: ["C#", "Node"] };
  byId("curl").textContent =
    `curl ${location.origin}${dialect.people} \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(example)}'\n` +
    `curl '${location.origin}${dialect.people}?${dialect.term}=conceicao'`;
  showCount();
  show();
  showOutcome();
}

// What happens

let pending = new AbortController(), timer = 0;

/** Ask the service for what the page is to show, and give up what was asked before. */
async function ask(work) {
  clearTimeout(timer);
  pending.abort();
  const mine = (pending = new AbortController());
  byId("search").classList.add("waiting");
  try {
    shown = await work(mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return false;
    if (!(error instanceof Failure)) throw error;
    shown = { kind: "failure", failure: error };
  } finally {
    if (mine === pending) byId("search").classList.remove("waiting");
  }
  if (mine.signal.aborted) return false;
  show();
  return true;
}

function search() {
  const wanted = term.value;
  return ask(async (signal) => {
    if (!wanted) return { kind: "nothing" };
    if (ID.test(wanted.trim())) return readPerson(wanted.trim(), signal);
    const found = JSON.parse(await request(`${dialect.people}?${new URLSearchParams({ [dialect.term]: wanted })}`, { signal }));
    const order = new Intl.Collator(texts.locale).compare;
    return { kind: "people", term: wanted, people: found.map(toPerson).sort((one, other) => order(one.name, other.name)) };
  });
}

async function readPerson(id, signal) {
  return { kind: "person", person: toPerson(JSON.parse(await request(`${dialect.people}/${id}`, { signal }))) };
}

async function refreshCount() {
  try {
    count = Number(await request(dialect.count));
  } catch (failure) {
    count = failure;
  }
  showCount();
  if (shown.kind === "nothing") show();
}

/** Show what the address asks for: #id=… is a person, #q=… a search. Other fragments are places on the page. */
async function route() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const id = wanted.get("id");
  if (id !== null) {
    if (await ask((signal) => readPerson(encodeURIComponent(id), signal))) (person.hidden ? notice : person).focus();
  } else if (wanted.has("q") || location.hash.length < 2) {
    const last = shown.kind === "person" ? shown.person.id : "";
    term.value = wanted.get("q") ?? "";
    await search();
    if (last) (people.querySelector(`[href="#id=${last}"]`) ?? term).focus();
  }
}

async function create(event) {
  event.preventDefault();
  if (outcome.kind === "busy") return;
  const lines = byId("skills").value.split("\n").map((line) => line.trim()).filter(Boolean);
  const document = {
    [dialect.nickname]: byId("nickname").value, [dialect.name]: byId("fullname").value,
    [dialect.birthDate]: byId("birth-date").value || null, [dialect.skills]: lines.length ? lines : null,
  };
  outcome = { kind: "busy" };
  showOutcome();
  try {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document) };
    outcome = { kind: "created", person: toPerson(JSON.parse(await request(dialect.people, options))) };
    form.reset();
  } catch (failure) {
    outcome = { kind: "failure", failure };
  }
  const atFault = showOutcome();
  if (atFault) form.querySelector(`[data-field=${atFault}] :is(input, textarea)`).focus();
  if (outcome.kind === "created") refreshCount();
}

term.addEventListener("input", () => {
  clearTimeout(timer);
  pending.abort();
  byId("search").classList.add("waiting");
  timer = setTimeout(() => {
    history.replaceState(null, "", term.value ? `#${new URLSearchParams({ q: term.value })}` : location.pathname);
    search();
  }, PAUSE);
});
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
for (const button of byId("examples").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    location.hash = new URLSearchParams({ q: button.textContent });
    term.focus();
  });
}
form.addEventListener("submit", create);
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => document.hidden || refreshCount());
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    language = button.dataset.language;
    try { localStorage.setItem("language", language); } catch { /* the choice holds until the page is left */ }
    showTexts();
  });
}

showTexts();
refreshCount();
route();
