#!/usr/bin/env bash
# Makes the certificates of the TLS tests, with OpenSSL 3. The files are in the repository, so that the tests need neither
# OpenSSL nor a clock; run this again to make others. The keys are public: they are worth nothing.
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.pem
FOREVER=36500
NAMES='subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'

# key NAME [ec|rsa:BITS]
key() {
    case ${2:-ec} in
        ec) openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key.pem" ;;
        rsa:*) openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:${2#rsa:}" -out "$1.key.pem" ;;
    esac
}

# ca NAME: an authority that signs itself.
ca() {
    key "$1"
    openssl req -x509 -new -key "$1.key.pem" -subj "/CN=$1" -days $FOREVER -out "$1.pem" \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# leaf NAME ISSUER EXTENSIONS [KEY] [DIGEST] [DAYS]: NAME.pem signed by ISSUER; EXTENSIONS are separated by semicolons.
leaf() {
    key "$1" "${4:-ec}"
    openssl req -new -key "$1.key.pem" -subj "/CN=${SUBJECT:-$1}" -out request
    tr ';' '\n' <<< "$3" > extensions
    openssl x509 -req -in request -CA "$2.pem" -CAkey "$2.key.pem" -days "${6:-$FOREVER}" -extfile extensions \
        "-${5:-sha256}" -out "$1.pem" 2> /dev/null
    rm request extensions
}

SERVER="$NAMES;extendedKeyUsage=serverAuth;basicConstraints=CA:FALSE"
CLIENT='extendedKeyUsage=clientAuth;basicConstraints=CA:FALSE'

ca ca
ca other-ca
leaf server ca "$SERVER"
leaf server-rsa ca "$SERVER" rsa:2048
leaf client ca "$CLIENT"
leaf client-rsa ca "$CLIENT" rsa:2048
leaf client-of-other-ca other-ca "$CLIENT"

# Identities that no client may accept.
leaf unknown-issuer other-ca "$SERVER"
leaf wrong-host ca 'subjectAltName=DNS:elsewhere.example,DNS:other.example;extendedKeyUsage=serverAuth'
leaf wrong-address ca 'subjectAltName=IP:192.0.2.1;extendedKeyUsage=serverAuth'
leaf name-for-address ca 'subjectAltName=DNS:127.0.0.1;extendedKeyUsage=serverAuth'
leaf wildcard ca 'subjectAltName=DNS:*.brokers.example;extendedKeyUsage=serverAuth'
leaf wide-wildcard ca 'subjectAltName=DNS:*;extendedKeyUsage=serverAuth'
SUBJECT=localhost leaf common-name-only ca 'extendedKeyUsage=serverAuth'
leaf for-clients ca "$NAMES;extendedKeyUsage=clientAuth"
leaf sha1 ca "$SERVER" rsa:2048 sha1
leaf short-rsa ca "$SERVER" rsa:1024
leaf critical-extension ca "$SERVER;1.2.3.4=critical,ASN1:UTF8String:unknown"
leaf not-an-authority ca "$SERVER"
leaf by-no-authority not-an-authority "$SERVER"

key self-signed
openssl req -x509 -new -key self-signed.key.pem -subj /CN=localhost -days $FOREVER -out self-signed.pem \
    -addext "$NAMES" -addext basicConstraints=CA:FALSE
key authority-as-server
openssl req -x509 -new -key authority-as-server.key.pem -subj /CN=localhost -days $FOREVER -out authority-as-server.pem \
    -addext "$NAMES" -addext 'basicConstraints=critical,CA:TRUE'

# Dates that are not now need `openssl ca`.
dated() {
    key "$1"
    openssl req -new -key "$1.key.pem" -subj "/CN=$1" -out request
    : > index; echo 01 > serial
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\n%s\n' \
        "$(tr ';' '\n' <<< "$SERVER")" > config
    openssl ca -batch -notext -config config -cert ca.pem -keyfile ca.key.pem -in request -out "$1.pem" \
        -startdate "$2" -enddate "$3" 2> /dev/null
    rm -f request index* serial* config 01.pem
}
dated expired 20200101000000Z 20210101000000Z
dated not-yet-valid 20990101000000Z 21000101000000Z

# An authority below ca, and a server of it with the chain and without.
leaf intermediate ca 'basicConstraints=critical,CA:TRUE;keyUsage=critical,keyCertSign'
leaf below-intermediate intermediate "$SERVER"
cp below-intermediate.pem missing-intermediate.pem
cp below-intermediate.key.pem missing-intermediate.key.pem
cat below-intermediate.pem intermediate.pem > full-chain.pem
cp below-intermediate.key.pem full-chain.key.pem
rm below-intermediate.pem below-intermediate.key.pem intermediate.key.pem intermediate.pem

# The same client key in each form that a keystore may have.
openssl rsa -traditional -in client-rsa.key.pem -out client-rsa.pkcs1.pem 2> /dev/null
openssl ec -in client.key.pem -out client.sec1.pem 2> /dev/null
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:secret -in client.key.pem -out client.encrypted.pem
openssl rsa -traditional -aes128 -passout pass:secret -in client-rsa.key.pem -out client-rsa.encrypted-pkcs1.pem 2> /dev/null

rm -f ca.key.pem other-ca.key.pem
