// From pixels to a mask: a net runs in ONNX Runtime, on one thread of the CPU.
import * as ort from "./runtime/ort.wasm.bundle.min.mjs";
import { bilinear, byArea } from "./resize.js";

ort.env.wasm.numThreads = 1; // more would need headers that a plain server does not send
ort.env.wasm.wasmPaths = { wasm: new URL("./runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href };

// Returns the net's description with its session; the first run, which is slow, is done here.
export async function load(about) {
  const answer = await fetch(about.file);
  if (!answer.ok) throw new Error(`${about.file} is missing in this folder`);
  const session = await ort.InferenceSession.create(await answer.arrayBuffer());
  const net = { ...about, session };
  const { height, width } = net;
  await run(net, new Float32Array(net.in_channels * height * width));
  return net;
}

// Returns one map of probabilities a class, at the size of the image.
export async function probabilities(net, image) {
  const { height, width } = net;
  const logits = await run(net, input(net, image));
  const area = height * width;
  const channels = Array.from({ length: logits.length / area }, (_, k) =>
    logits.subarray(k * area, (k + 1) * area),
  );
  const shares = channels.length === 1 ? [sigmoid(channels[0])] : softmax(channels);
  return shares.map((values) => bilinear({ width, height, values }, image.width, image.height));
}

// Returns label indices: above the threshold for one class, else the largest probability.
export function mask(maps, threshold) {
  const [{ values }] = maps;
  const single = Math.fround(threshold); // float32, as the probabilities are
  const labels = new Uint8Array(values.length);
  for (let i = 0; i < labels.length; i++) {
    labels[i] = maps.length === 1 ? values[i] > single : largest(maps, i);
  }
  return labels;
}

function largest(maps, i) {
  let best = 0;
  for (let k = 1; k < maps.length; k++) {
    if (maps[k].values[i] > maps[best].values[i]) best = k;
  }
  return best;
}

function input(net, image) {
  const wanted = net.in_channels;
  const found = image.channels.length;
  if (wanted === 1 && found === 3) {
    throw new Error(`${image.name} has colours; ${net.title} takes grey images`);
  }
  const area = net.height * net.width;
  const values = new Float32Array(wanted * area);
  image.channels.forEach((channel, c) => {
    const { values: grey } = byArea(channel, net.width, net.height);
    for (let i = 0; i < area; i++) values[c * area + i] = grey[i] / net.divisor;
  });
  for (let c = found; c < wanted; c++) values.copyWithin(c * area, 0, area);
  return values;
}

async function run(net, values) {
  const tensor = new ort.Tensor("float32", values, [1, net.in_channels, net.height, net.width]);
  const { [net.session.outputNames[0]]: logits } = await net.session.run({
    [net.session.inputNames[0]]: tensor,
  });
  return logits.data;
}

function sigmoid(logits) {
  return logits.map((value) => 1 / (1 + Math.exp(-value)));
}

function softmax(channels) {
  const result = channels.map((channel) => new Float32Array(channel.length));
  for (let i = 0; i < channels[0].length; i++) {
    const most = Math.max(...channels.map((channel) => channel[i]));
    const powers = channels.map((channel) => Math.exp(channel[i] - most));
    const total = powers.reduce((sum, power) => sum + power, 0);
    powers.forEach((power, k) => { result[k][i] = power / total; });
  }
  return result;
}
