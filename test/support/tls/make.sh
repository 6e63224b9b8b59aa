#!/bin/sh
# Makes the certificates beside it anew. They are for tests only, and all but one are valid for eighty years.
set -eu
cd "$(dirname "$0")"
START=20200101000000Z END=21000101000000Z

# certificate NAME END EXTENSIONS SIGNER...
certificate() {
  name=$1 end=$2 extensions=$3
  shift 3
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$name.key"
  openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  : > index.txt
  openssl rand -hex 16 > serial
  openssl ca -batch -notext -config /dev/stdin "$@" -in "$name.csr" -out "$name.pem" -startdate $START -enddate "$end" <<CONFIG
[ca]
default_ca=default
[default]
database=index.txt
serial=serial
new_certs_dir=.
default_md=sha256
policy=any
x509_extensions=more
[any]
commonName=supplied
[more]
$extensions
CONFIG
  rm -f "$name.csr" index.txt* serial* ./[0-9A-F][0-9A-F]*.pem
}

authority() {
  certificate "$1" $END 'basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign
subjectKeyIdentifier=hash' -selfsign -keyfile "$1.key"
}
signed() { certificate "$1" "$2" "$3" -cert ca.pem -keyfile ca.key; }

authority ca
authority other-ca
signed server $END "subjectAltName=DNS:localhost,DNS:api.test,IP:127.0.0.1"
signed renewed $END "subjectAltName=DNS:localhost,IP:127.0.0.1"
signed expired 20210101000000Z "subjectAltName=DNS:localhost,IP:127.0.0.1"
signed other-host $END "subjectAltName=DNS:elsewhere.test"
signed client $END "extendedKeyUsage=clientAuth"
rm -f other-ca.key ca.key
