import { describe, expect, it } from 'vitest';
import { InvalidS3Root, parseS3Root, placeOfS3 } from '../../src/storage/object-store/minio.root.js';
import { MAX_OBJECT_BYTES, partBytes } from '../../src/storage/object-store/minio.part.js';

describe("an S3 storage's root", () => {
  it.each([
    ['s3://host:9000/bucket/prefix?tls=false', 's3://host:9000/bucket/prefix/', false],
    ['s3://host:9000/bucket/prefix/?tls=false', 's3://host:9000/bucket/prefix/', false],
    ['s3://HOST:9000/bucket', 's3://host:9000/bucket/', true],
    ['s3://host/bucket/', 's3://host:443/bucket/', true],
    ['s3://host/bucket?tls=false', 's3://host:80/bucket/', false],
    ['s3://host/bucket?tls=true&region=eu-central-1', 's3://host:443/bucket/', true],
    ['s3://127.0.0.1:9000/my.bucket/a/b', 's3://127.0.0.1:9000/my.bucket/a/b/', true],
    ['s3://[::1]:9000/bucket/a', 's3://[::1]:9000/bucket/a/', true],
    ['s3://host/bucket/Gr%C3%BC%C3%9Fe/a%20b%25', 's3://host:443/bucket/Grüße/a b%/', true],
    ['s3://host/bucket/Grüße', 's3://host:443/bucket/Grüße/', true],
  ])('%s lies at %s', (root, place, tls) => {
    const parsed = parseS3Root(root);
    expect(placeOfS3(parsed)).toBe(place);
    expect(parsed.tls).toBe(tls);
  });

  it('names its region, or that of most servers', () => {
    expect(parseS3Root('s3://host/bucket?region=eu-central-1').region).toBe('eu-central-1');
    expect(parseS3Root('s3://host/bucket').region).toBe('us-east-1');
  });

  it('tells nested storages by their places', () => {
    const [outer, inner, beside] = ['s3://host/bucket/a', 's3://host:443/bucket/a/b', 's3://host/bucket/ab'].map(
      (root) => placeOfS3(parseS3Root(root)),
    );
    expect(inner?.startsWith(outer ?? '?')).toBe(true);
    expect(beside?.startsWith(outer ?? '?')).toBe(false);
  });

  it.each([
    ['file:/srv', /does not begin with s3:\/\//],
    ['s3://', /is no URL|host ""/],
    ['s3://host:99999/bucket', /is no URL/],
    ['s3://host:0/bucket', /port is 0/],
    ['s3://ho_st/bucket', /host "ho_st"/],
    ['s3://host', /bucket ""/],
    ['s3://host/', /bucket ""/],
    ['s3://host/ab', /bucket "ab"/],
    ['s3://host/Bucket', /bucket "Bucket"/],
    ['s3://host/a..b', /bucket "a\.\.b"/],
    ['s3://host/10.0.0.1', /bucket "10\.0\.0\.1"/],
    ['s3://host/bucket//a', /prefix is no folder: .*begins with "\/"/],
    ['s3://host/bucket/a//b', /prefix is no folder: .*empty part/],
    ['s3://host/bucket/a%0Ab', /prefix is no folder: .*control character/],
    ['s3://host/bucket/%', /"%"/],
    ['s3://host/bucket#a', /"#"/],
    ['s3://host/bucket?tls=no', /tls takes true or false/],
    ['s3://host/bucket?tls=true&tls=false', /tls twice/],
    ['s3://host/bucket?region=', /region ""/],
    ['s3://host/bucket?versions=true', /no parameter "versions"/],
  ])('refuses %s, and says what it takes', (root, says) => {
    expect(() => parseS3Root(root)).toThrow(InvalidS3Root);
    expect(() => parseS3Root(root)).toThrow(says);
    expect(() => parseS3Root(root)).toThrow(/s3:\/\/host:9000\/bucket\/prefix\?tls=false/);
  });

  it.each([
    's3://somekey:somesecret@host/bucket',
    's3://somekey:somesecret@host:99999/bucket',
    's3://somekey@host/bucket',
    's3://:somesecret@host/ab',
    's3://host/bucket?secretKey=somesecret',
    's3://host/bucket#somesecret',
  ])('refuses %s without telling it', (root) => {
    expect(() => parseS3Root(root)).toThrow(InvalidS3Root);
    expect(() => parseS3Root(root)).not.toThrow(/some/);
  });
});

describe('the parts of an upload', () => {
  it('hold what S3 takes at most, in 10,000 of them, none beyond its limits', () => {
    let bytes = 0;
    for (let number = 1; number <= 10_000; number += 1) {
      const part = partBytes(number);
      expect(part).toBeGreaterThanOrEqual(5 * 1024 * 1024);
      expect(part).toBeLessThanOrEqual(5 * 1024 * 1024 * 1024);
      bytes += part;
    }
    expect(bytes).toBeGreaterThanOrEqual(MAX_OBJECT_BYTES);
    expect(partBytes(1_000) * 1_000).toBe(8_000 * 1024 * 1024);
  });
});
