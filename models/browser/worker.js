// Runs the network beside the page, so that the page stays responsive. One thread: no headers of the server are needed.

import * as ort from './ort/ort.wasm.min.mjs';
import { averaged, openSamples, openWav, separate, WavSink } from './separate.js';

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL('./ort/', import.meta.url).href;

let session = null;

async function work({ file, channels, facts }) {
  session ??= await ort.InferenceSession.create(new URL('./network.onnx', import.meta.url).href);
  const { stems, sample_rate: rate, channels: numChannels } = facts;
  const source = channels ? openSamples(channels, numChannels) : await openWav(file, rate, numChannels);
  if (!source.length) throw new Error('The song holds no samples.');
  const sinks = stems.map(() => new WavSink(source.channels, rate));
  const began = performance.now();
  const run = async (chunk, length) => {
    const data = new Float32Array(chunk.length * length);
    chunk.forEach((samples, index) => data.set(samples, index * length));
    const input = new ort.Tensor('float32', data, [1, chunk.length, length]);
    const { stems: output } = await session.run({ mixture: input });
    const part = (index) => output.data.slice(index * length, (index + 1) * length);
    const found = stems.map((_, stem) => chunk.map((__, channel) => part(stem * chunk.length + channel)));
    output.dispose();
    return found;
  };
  const silence = (chunk, length) => stems.map(() => chunk.map(() => new Float32Array(length)));
  const estimate = (chunk, length, silent) => (silent ? silence(chunk, length) : averaged(run, chunk, length, facts));
  const write = (pieces) => pieces.forEach((piece, index) => sinks[index].write(piece));
  const tell = (done) => postMessage({ done, total: source.length, elapsed: (performance.now() - began) / 1000 });
  await separate(source, facts.separate, rate, estimate, write, tell);
  postMessage({
    blobs: sinks.map((sink) => sink.finish()),
    clipped: sinks.reduce((sum, sink) => sum + sink.clipped, 0),
    length_s: source.length / rate,
    elapsed: (performance.now() - began) / 1000,
  });
}

onmessage = async ({ data }) => {
  try {
    await work(data);
  } catch (error) {
    postMessage({ error: error.message ?? String(error) });
  }
};
