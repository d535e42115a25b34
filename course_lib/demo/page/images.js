// From a file to pixels: {name, width, height, bitmap, channels}, channels being one map of 0..255
// for a grey image, else three.

const MOST_PIXELS = 16e6;

export async function read(file, name = file.name) {
  if (await isDeepPng(file)) {
    throw new Error(`${name} has 16 bits a channel; save it with 8 first`);
  }
  let bitmap;
  try {
    // as stored: Python applies no colour profile either
    const asStored = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    bitmap = await createImageBitmap(file, asStored);
  } catch {
    throw new Error(`${name} is not a whole image that a browser reads; try a PNG or a JPEG`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    throw new Error(`${name} has more than ${MOST_PIXELS / 1e6} million pixels; make it smaller`);
  }
  const { data } = context(bitmap).getImageData(0, 0, width, height);
  if (data.some((value, i) => i % 4 === 3 && value < 255)) {
    throw new Error(`${name} is transparent in places; save it without an alpha channel`);
  }
  return { name, width, height, bitmap, channels: planes(data, width, height) };
}

export async function readMask(file) {
  const { width, height, channels } = await read(file, "mask");
  return { width, height, values: channels[0].values };
}

function context(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const drawn = canvas.getContext("2d", { willReadFrequently: true });
  drawn.drawImage(bitmap, 0, 0);
  return drawn;
}

function planes(data, width, height) {
  const [red, green, blue] = [0, 1, 2].map((channel) => {
    const values = new Uint8Array(width * height);
    for (let i = 0; i < values.length; i++) values[i] = data[4 * i + channel];
    return { width, height, values };
  });
  const grey = red.values.every((v, i) => v === green.values[i] && v === blue.values[i]);
  return grey ? [red] : [red, green, blue];
}

async function isDeepPng(file) {
  const head = new Uint8Array(await file.slice(0, 25).arrayBuffer());
  return String.fromCharCode(...head.slice(1, 4)) === "PNG" && head[24] === 16;
}
