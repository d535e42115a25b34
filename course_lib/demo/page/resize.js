// The two ways in which sizes change, as PyTorch computes them, so that a mask of this page is the
// mask of `course predict`. Maps are {width, height, values}, row by row.

// torch.nn.functional.interpolate(mode="bilinear", antialias=True) on 0..255, then rounded: as
// course_lib.data.resize.resize_images.
export function byArea(map, width, height) {
  if (map.width === width && map.height === height) return map;
  const wide = alongRows(map, areaWeights(map.width, width));
  const turned = alongRows(transpose(wide), areaWeights(map.height, height));
  return { width, height, values: new Uint8Array(transpose(turned).values.map(roundHalfToEven)) };
}

// The same without antialias: how probabilities return to the size of the image.
export function bilinear(map, width, height) {
  if (map.width === width && map.height === height) return map;
  const columns = pairs(map.width, width);
  const values = new Float32Array(width * height);
  pairs(map.height, height).forEach(([top, bottom, down], y) => {
    const upper = map.values.subarray(top * map.width);
    const lower = map.values.subarray(bottom * map.width);
    for (let x = 0; x < width; x++) {
      const [left, right, across] = columns[x];
      const above = (1 - across) * upper[left] + across * upper[right];
      const below = (1 - across) * lower[left] + across * lower[right];
      values[y * width + x] = (1 - down) * above + down * below;
    }
  });
  return { width, height, values };
}

// A triangle around each new pixel's centre; it widens to the new pixel's area when shrinking.
// In float32 step by step, as PyTorch: in ties the last bit decides how a grey value is rounded.
function areaWeights(old, size) {
  const scale = Math.fround(old / size);
  const reach = Math.max(scale, 1);
  const inverse = Math.fround(1 / reach);
  return Array.from({ length: size }, (_, i) => {
    const centre = Math.fround(scale * (i + 0.5));
    const first = Math.max(Math.trunc(Math.fround(centre - reach) + 0.5), 0);
    const end = Math.min(Math.trunc(Math.fround(centre + reach) + 0.5), old);
    const heights = [];
    for (let j = first; j < end; j++) {
      const distance = Math.abs(Math.fround((Math.fround(j - centre) + 0.5) * inverse));
      heights.push(Math.max(0, Math.fround(1 - distance)));
    }
    const total = heights.reduce((sum, value) => Math.fround(sum + value), 0);
    return { first, weights: Float32Array.from(heights, (value) => value / total) };
  });
}

function alongRows({ width, height, values }, places) {
  const result = new Float32Array(places.length * height);
  for (let y = 0; y < height; y++) {
    places.forEach(({ first, weights }, x) => {
      const start = y * width + first;
      let sum = 0;
      for (let j = 0; j < weights.length; j++) {
        sum = Math.fround(sum + Math.fround(weights[j] * values[start + j]));
      }
      result[y * places.length + x] = sum;
    });
  }
  return { width: places.length, height, values: result };
}

function transpose({ width, height, values }) {
  const result = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) result[x * height + y] = values[y * width + x];
  }
  return { width: height, height: width, values: result };
}

function roundHalfToEven(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 === 1 ? up - 1 : up;
}

function pairs(old, size) {
  const scale = Math.fround(old / size); // PyTorch computes places in float32
  return Array.from({ length: size }, (_, i) => {
    const place = Math.max(Math.fround(scale * (i + 0.5)) - 0.5, 0);
    const before = Math.min(Math.trunc(place), old - 1);
    return [before, Math.min(before + 1, old - 1), place - before];
  });
}
