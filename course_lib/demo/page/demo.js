// The page: what is chosen, what is shown.
import { read, readMask } from "./images.js";
import { load, mask, probabilities } from "./nets.js";

// Of labels 1, 2 and so on, as words whose bytes are A, B, G, R.
const COLOURS = [0xff009fe6, 0xffe9b456, 0xff739e00, 0xffa779cc, 0xff005ed5, 0xff42e4f0];
const REFERENCE = 0xffb27200;
const RUNS = 7;

const at = (id) => document.getElementById(id);
let nets = []; // of demo.json, with session, maps of the shown image, milliseconds
let shown = null; // {image, reference}
let turn = 0; // an answer that comes after another image was chosen is dropped

async function start() {
  const about = await (await fetch("demo.json")).json();
  for (const net of about.nets) nets.push(await load(net));
  at("nets").replaceChildren(...nets.map(panel));
  at("sizes").textContent = nets.map(sizeOf).join(", ");
  at("examples").append(...about.examples.map(choice));
  at("threshold").value = nets[0].threshold;
  at("threshold").addEventListener("input", show);
  at("file").addEventListener("change", () => own(at("file").files[0]));
  at("measure").addEventListener("click", () => measure().catch(tell));
  listenForDrops();
  at("examples").querySelector("input")?.click();
}

function sizeOf({ title, width, height }) {
  return `${title} ${width} x ${height} pixels`;
}

function panel(net, i) {
  const figure = document.createElement("figure");
  figure.innerHTML = `<div class="stack" role="img" aria-describedby="said-${i}">
    <canvas class="image"></canvas><canvas class="mask"></canvas><canvas class="border"></canvas>
    </div><figcaption><strong></strong> <span id="said-${i}"></span></figcaption>`;
  figure.querySelector("strong").textContent = `${net.title}:`;
  figure.querySelector(".stack").setAttribute("aria-label", `Image with the mask of ${net.title}`);
  net.figure = figure;
  return figure;
}

function choice(example) {
  const label = document.createElement("label");
  label.innerHTML = '<input type="radio" name="example"><img alt="">';
  label.querySelector("img").src = example.image;
  label.append(example.title);
  label.querySelector("input").addEventListener("change", () => {
    at("file").value = "";
    choose(async () => ({
      image: await read(await blob(example.image), example.title),
      reference: await readMask(await blob(example.mask)),
    }));
  });
  return label;
}

async function blob(file) {
  return (await fetch(file)).blob();
}

function own(file) {
  if (!file) return;
  for (const radio of at("examples").querySelectorAll("input")) radio.checked = false;
  choose(async () => ({ image: await read(file), reference: null }));
}

function listenForDrops() {
  const dragged = (on) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragged", on);
  };
  addEventListener("dragover", dragged(true));
  addEventListener("dragleave", dragged(false));
  addEventListener("drop", (event) => {
    dragged(false)(event);
    own(event.dataTransfer.files[0]);
  });
}

async function choose(get) {
  const mine = ++turn;
  at("measure").disabled = true;
  say("The nets are at work …");
  const begun = performance.now();
  try {
    const chosen = await get();
    const answers = [];
    for (const net of nets) answers.push(await timed(net, chosen.image));
    if (mine !== turn) return;
    shown = chosen;
    nets.forEach((net, i) => Object.assign(net, answers[i]));
    show();
    const seconds = (performance.now() - begun) / 1000;
    const { name, width, height } = shown.image;
    say(`${name}, ${width} x ${height} pixels: answered in ${seconds.toFixed(2)} s.`);
    at("measure").disabled = false;
  } catch (error) {
    if (mine === turn) tell(error);
  }
}

async function timed(net, image) {
  const begun = performance.now();
  const maps = await probabilities(net, image);
  return { maps, times: [performance.now() - begun] };
}

async function measure() {
  const mine = turn;
  at("measure").disabled = true;
  const all = nets.map(() => []);
  for (let round = 1; round <= RUNS; round++) {
    say(`Run ${round} of ${RUNS} …`);
    await new Promise(requestAnimationFrame);
    for (const [i, net] of nets.entries()) all[i].push(...(await timed(net, shown.image)).times);
    if (mine !== turn) return;
  }
  nets.forEach((net, i) => { net.times = all[i]; });
  show();
  say(`Time is the median of ${RUNS} runs, in brackets the shortest and the longest.`);
  at("measure").disabled = false;
}

function show() {
  at("chosen").textContent = Number(at("threshold").value).toFixed(2);
  if (!shown) return;
  at("with-reference").hidden = !shown.reference;
  at("table").replaceChildren(...nets.map(showNet));
}

// Draws a net's mask and returns its row of the table.
function showNet(net) {
  const labels = mask(net.maps, Number(at("threshold").value));
  draw(net.figure, labels);
  const marked = labels.reduce((count, label) => count + (label > 0), 0);
  const share = ((100 * marked) / labels.length).toFixed(1);
  const dice = shown.reference ? diceOf(labels, shown.reference.values).toFixed(3) : "–";
  const said = shown.reference ? `, Dice ${dice}` : "";
  net.figure.querySelector("span").textContent = `${share} % marked${said}`;
  const row = document.createElement("tr");
  row.innerHTML = `<th scope="row"></th><td class="n">${(net.bytes / 1e6).toFixed(2)}</td>
    <td class="n">${timeOf(net.times)}</td><td class="n opt">${share}</td><td class="n">${dice}</td>`;
  row.firstChild.textContent = net.title;
  return row;
}

function timeOf(times) {
  const sorted = times.toSorted((a, b) => a - b).map(Math.round);
  const middle = sorted[(sorted.length - 1) / 2];
  return times.length === 1 ? middle : `${middle} [${sorted[0]}, ${sorted.at(-1)}]`;
}

// Of all that is marked, whatever its label.
function diceOf(labels, reference) {
  let both = 0;
  let sum = 0;
  labels.forEach((label, i) => {
    both += label > 0 && reference[i] > 0;
    sum += (label > 0) + (reference[i] > 0);
  });
  return sum ? (2 * both) / sum : 1;
}

function draw(figure, labels) {
  const { width, height, bitmap } = shown.image;
  const [image, marked, border] = ["image", "mask", "border"].map((name) => {
    const canvas = figure.querySelector(`.${name}`);
    Object.assign(canvas, { width, height }); // clears it, too
    return canvas.getContext("2d");
  });
  image.drawImage(bitmap, 0, 0);
  paint(marked, width, height, (i) => labels[i] && COLOURS[(labels[i] - 1) % COLOURS.length]);
  const reference = shown.reference?.values;
  if (reference) paint(border, width, height, (i) => onBorder(reference, i, width) && REFERENCE);
}

function onBorder(values, i, width) {
  const beside = (i % width && !values[i - 1]) || ((i + 1) % width && !values[i + 1]);
  return values[i] && (beside || !values[i - width] || !values[i + width]);
}

// A pixel stays clear where colourOf gives nothing.
function paint(context, width, height, colourOf) {
  const pixels = new Uint32Array(width * height);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colourOf(i);
  const bytes = new Uint8ClampedArray(pixels.buffer);
  context.putImageData(new ImageData(bytes, width, height), 0, 0);
}

function say(text) {
  at("status").className = "meta";
  at("status").textContent = text;
}

function tell(error) {
  say(error.message);
  at("status").className = "bad";
}

start().catch(tell);
