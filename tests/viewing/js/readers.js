// What JavaScript readers get of a store: digests of the bytes of an array, and a rendered plane as PNG.
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
