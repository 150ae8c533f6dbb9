import * as ort from "./ort.wasm.min.mjs";
import { decode } from "./decode.js";
import { resample } from "./resample.js";
import { draw } from "./spectrogram.js";

const place = (id) => document.getElementById(id);
const say = (words) => { place("said").textContent = words; };

ort.env.wasm.numThreads = 1; // more need headers that not every web server sends
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
const load = async (name, how) => (await fetch(name))[how]();
const facts = await load("model.json", "json");
const session = await ort.InferenceSession.create(new Uint8Array(await load("model.onnx", "arrayBuffer")));

// Classify samples at any rate: { labels, probabilities }.
export async function classify(y, rate) {
  const heard = resample(y.subarray(Math.floor(facts.offset * rate)), rate, facts.rate, facts.kernels);
  if (!heard.length) throw new Error("no sound left after the first seconds, which are skipped");
  const samples = new ort.Tensor("float32", heard, [1, heard.length]);
  const lengths = new ort.Tensor("int64", BigInt64Array.of(BigInt(heard.length)), [1]);
  const made = await session.run({ samples, lengths });
  const found = Array.from(made.label.data);
  const labels = facts.several ? facts.classes.filter((_, i) => Number(found[i])) : found;
  return { labels, probabilities: Array.from(made.probabilities.data), heard };
}

function show({ labels, probabilities, heard }) {
  place("label").textContent = labels.join(", ") || "none of the classes";
  const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
  place("probabilities").replaceChildren(...order.map((i) => {
    const row = document.createElement("tr"), bar = document.createElement("div");
    for (let k = 0; k < 3; k++) row.insertCell();
    bar.className = "bar";
    bar.style.width = `${100 * probabilities[i]}%`;
    row.cells[0].textContent = facts.classes[i];
    row.cells[1].append(bar);
    row.cells[2].textContent = `${(100 * probabilities[i]).toFixed(1)} %`;
    return row;
  }));
  draw(place("spectrogram"), heard);
}

async function answer(name, sound) {
  try {
    say(`${name} …`);
    const { y, rate } = await sound;
    const started = performance.now();
    show(await classify(y, rate));
    say(`${name}: ${(y.length / rate).toFixed(1)} s of sound, classified in ${Math.round(performance.now() - started)} ms`);
  } catch (error) {
    say(`${name}: ${error.name === "EncodingError" ? "not a recording that this browser can decode" : error.message}`);
  }
}

const take = (file) => file && answer(file.name, file.arrayBuffer().then(decode));

async function record(seconds) {
  const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule("recorder.js");
    const node = new AudioWorkletNode(context, "recorder");
    const size = Math.ceil(seconds * context.sampleRate), y = new Float32Array(size);
    await new Promise((done) => {
      let n = 0;
      node.port.onmessage = ({ data }) => {
        y.set(data.subarray(0, size - n), n);
        n = Math.min(size, n + data.length);
        if (n === size) done();
      };
      context.createMediaStreamSource(stream).connect(node);
    });
    return { y, rate: context.sampleRate };
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  }
}

place("file").addEventListener("change", (event) => take(event.target.files[0]));
place("speak").textContent = `record ${facts.seconds} s`;
place("speak").addEventListener("click", () => answer("microphone", record(facts.seconds)));
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    place("drop").classList.toggle("over", over);
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
say("Ready.");
navigator.serviceWorker?.register("worker.js").catch(() => {}); // without it, the page only works online
