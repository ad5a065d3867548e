// What JavaScript readers get of a store: digests of the bytes of an array, and a rendered plane as PNG.
import { loadOmeZarr } from "@vivjs/loaders";
import * as omezarr from "ome-zarr.js";
import * as zarr from "zarrita";

async function digest(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let crc = 0xffffffff;  // crypto.subtle needs a secure origin
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export async function zarritaDigest(url, version) {
  const store = new zarr.FetchStore(url);
  const array = await zarr.open[version === "0.4" ? "v2" : "v3"](store, { kind: "array" });
  const { data, shape } = await zarr.get(array);
  return { shape, crc: await digest(data) };
}

export async function omeZarrPlane(url) {
  const { arr, omero, multiscale } = await omezarr.getMultiscaleWithArray(url, 0);
  return omezarr.renderImage(arr, multiscale.axes, omero);
}

// The planes of all channels, at one place along z and t, as the viewers on Viv (Avivator, Vizarr) load them.
export async function vivPlanes(url, selection) {
  const { data, metadata } = await loadOmeZarr(url, { type: "multiscales" });
  const [level] = data;
  const axis = level.labels.indexOf("c");
  const planes = [];
  for (let c = 0; c < (axis < 0 ? 1 : level.shape[axis]); c++) {
    const raster = await level.getRaster({ selection: axis < 0 ? selection : { ...selection, c } });
    planes.push(await digest(raster.data));
  }
  const windows = (metadata.omero?.channels ?? []).map((c) => [c.window.start, c.window.end]);
  return { levels: data.length, labels: level.labels, dtype: level.dtype, planes, windows };
}
