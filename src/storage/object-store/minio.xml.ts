import { Corrupt } from '../errors.js';

/*
 * What S3 answers, read as the little of XML that it is: elements without attributes around text, no comments, no CDATA. The driver reads its
 * answers with a general parser and guesses types: a key `1e5` becomes a number, a key `false` is lost, and delete markers lose their place
 * among the versions.
 */

/** The content of each element of one of these names, in the order of the document. None of them lies in another. */
export function elements(xml: string, ...names: readonly string[]): { name: string; content: string }[] {
  const pattern = new RegExp(`<(${names.join('|')})>([^]*?)</\\1>`, 'g');
  return Array.from(xml.matchAll(pattern), ([, name = '', content = '']) => ({ name, content }));
}

/** The text of the first element of that name; `null` where there is none. */
export function textOf(xml: string, name: string): string | null {
  const found = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];
  return found === undefined ? null : unescaped(found);
}

/** @throws Corrupt */
export function textIn(xml: string, name: string): string {
  const text = textOf(xml, name);
  if (text === null) throw new Corrupt(`the server's answer has no <${name}>; is this an S3 server?`);
  return text;
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A key of a listing that was asked for with `encoding-type=url`. A server that does not know of that gives it as it is. */
export function keyIn(listing: string, key: string): string {
  if (textOf(listing, 'EncodingType') !== 'url') return key;
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    throw new Corrupt(`the server's listing has the key ${JSON.stringify(key)}, which does not decode`);
  }
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', apos: "'", gt: '>', lt: '<', quot: '"' };

function unescaped(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, name) => {
    if (typeof name === 'string') return NAMED[name.toLowerCase()] ?? whole;
    const point = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
