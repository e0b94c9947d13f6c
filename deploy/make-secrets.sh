#!/bin/sh
# Makes deploy/secrets: the keys of the S3 server, and a lethe.json with one API key, which is printed once and kept nowhere.
set -eu
cd "$(dirname "$0")"

if [ -e secrets ]; then
  echo "make-secrets: deploy/secrets is there already, and stays: the stores know its keys. Change a file in it by hand." >&2
  exit 1
fi

random() { # bytes, in hex
  od -An -v -N "$1" -t x1 /dev/urandom | tr -d ' \n'
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Complete or absent: a half of it would be kept for ever by the question above.
umask 077
made=$(mktemp -d ./secrets.XXXXXX)
trap 'rm -rf "$made"' EXIT

key=$(random 32)
hash=$(printf %s "$key" | sha256)
printf 'lethe-%s' "$(random 6)" >"$made/s3_access_key"
random 20 >"$made/s3_secret_key"
cat >"$made/lethe.json" <<EOF
{
  "apiKeys": [{ "subject": "admin", "sha256": "$hash", "may": ["read", "write", "purge", "admin"] }]
}
EOF
# The containers' users are others than this one, and read these files; on this machine nobody else gets into the folder.
chmod 0444 "$made"/*
mv "$made" secrets

echo "Made deploy/secrets. The API key of the subject admin, shown this once:"
echo "$key"
