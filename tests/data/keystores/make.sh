#!/usr/bin/env bash
# Makes the stores and encrypted keys of the TLS tests from the certificates in ../tls, with the keytool of JDK 17 and
# OpenSSL 3. The files are in the repository, so that the tests need neither; run this again to make others.
# Every password is "changeit", that of keys which have their own is "key-password", and that of empty-password*.p12 is empty.
set -euo pipefail
cd "$(dirname "$0")"
tls=../tls
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.p12 ./*.jks ./*.jceks ./*.pem

PASS=changeit
FEW='-J-Dkeystore.pkcs12.certPbeIterationCount=100 -J-Dkeystore.pkcs12.keyPbeIterationCount=100 -J-Dkeystore.pkcs12.macIterationCount=100'

# identity NAME ALIAS: $work/NAME.p12 of OpenSSL with the key, the certificate and its chain.
identity() {
    openssl pkcs12 -export -in "$tls/$1.pem" -inkey "$tls/$1.key.pem" -name "$2" -passout pass:$PASS -out "$work/$1.p12"
}
# copy NAME STORE TYPE [OPTION...]: adds that identity to a store by keytool.
copy() {
    local name=$1 store=$2 type=$3
    shift 3
    keytool "$@" -importkeystore -noprompt -srckeystore "$work/$name.p12" -srcstorepass $PASS -destkeystore "$store" \
        -deststoretype "$type" -deststorepass $PASS 2> /dev/null
}
# trust STORE TYPE [OPTION...]: adds both authorities to a store by keytool.
trust() {
    local store=$1 type=$2
    shift 2
    for ca in ca other-ca; do
        keytool "$@" -importcert -noprompt -alias $ca -file "$tls/$ca.pem" -keystore "$store" -storetype "$type" \
            -storepass $PASS 2> /dev/null
    done
}

identity client client
identity client-rsa client-rsa
identity client-of-other-ca other
identity full-chain full-chain
identity self-signed self-signed

# Java's defaults, once; fewer iterations elsewhere, for tests without optimization.
copy client client.p12 PKCS12
for type in PKCS12:p12 JKS:jks; do
    extension=${type#*:} type=${type%:*}
    copy client-rsa client-rsa.$extension $type $FEW
    copy full-chain chain.$extension $type $FEW
    copy self-signed self-signed.$extension $type $FEW
    trust trust.$extension $type $FEW
    for name in client client-rsa client-of-other-ca; do
        copy $name several.$extension $type $FEW
    done
    copy client empty.$extension $type $FEW
    keytool $FEW -delete -alias client -keystore empty.$extension -storepass $PASS 2> /dev/null
done
copy client client.jks JKS
copy client key-password.jks JKS
keytool -keypasswd -alias client -keypass $PASS -new key-password -keystore key-password.jks -storepass $PASS 2> /dev/null
copy client store.jceks JCEKS

# As Java 8 wrote them: RC2 and triple DES.
copy client java-8.p12 PKCS12 -J-Dkeystore.pkcs12.legacy
# Neither encrypted nor with a MAC.
trust open.p12 PKCS12 -J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE -J-Dkeystore.pkcs12.macAlgorithm=NONE
# By OpenSSL, with the other algorithms.
export_client() {
    local out=$1
    shift
    openssl pkcs12 -export -in "$tls/client.pem" -inkey "$tls/client.key.pem" -passout pass:$PASS -out "$out" "$@"
}
export_client openssl.p12 -name Client
export_client openssl-aes-128.p12 -keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha512 -iter 100
export_client openssl-des.p12 -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-3DES -macalg sha1 -iter 100
export_client openssl-rc2.p12 -legacy -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40 -macalg sha384 -iter 100
export_client openssl-rc4.p12 -legacy -keypbe PBE-SHA1-RC4-128 -certpbe NONE -macalg sha224 -iter 100
export_client openssl-key-alone.p12 -nocerts
openssl pkcs12 -export -nokeys -in "$tls/ca.pem" -passout pass:$PASS -iter 100 -out openssl-trust.p12

# An empty password: with the NUL that PKCS#12 appends to each, and without. Only the library of OpenSSL writes the latter.
empty=(-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -iter 100)
openssl pkcs12 -export -in "$tls/client.pem" -inkey "$tls/client.key.pem" -passout pass: -out empty-password.p12 "${empty[@]}"
python3 - "$tls/client" << 'PYTHON'
import ctypes, sys

crypto = ctypes.CDLL('libcrypto.so.3')
def call(name, *arguments):
    function = getattr(crypto, name)
    function.restype = ctypes.c_void_p
    result = function(*(ctypes.c_void_p(it) if isinstance(it, int) and it > 1 << 31 else it for it in arguments))
    assert result, name
    return result

key = call('PEM_read_bio_PrivateKey', call('BIO_new_file', (sys.argv[1] + '.key.pem').encode(), b'r'), None, None, None)
certificate = call('PEM_read_bio_X509', call('BIO_new_file', (sys.argv[1] + '.pem').encode(), b'r'), None, None, None)
triple_des = call('OBJ_txt2nid', b'PBE-SHA1-3DES')
store = call('PKCS12_create', None, None, key, certificate, None, triple_des, triple_des, 100, 100, 0)
out = call('BIO_new_file', b'empty-password-without-nul.p12', b'wb')
call('i2d_PKCS12_bio', out, store)
crypto.BIO_free(ctypes.c_void_p(out))
PYTHON

# A MAC by PBKDF2 (RFC 9579), which neither of the two writes yet: open.p12 with such a MAC, by Python.
python3 - << 'PYTHON'
import hashlib, hmac

def der(tag, *parts):
    content = b''.join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + content

def oid(text):
    first, second, *rest = map(int, text.split('.'))
    content = bytes([40 * first + second])
    for number in rest:
        digits = [number & 127]
        while number := number >> 7:
            digits.insert(0, number & 127 | 128)
        content += bytes(digits)
    return der(6, content)

with open('open.p12', 'rb') as file:
    store = file.read()
# SEQUENCE { INTEGER 3, SEQUENCE { OID, [0] { OCTET STRING { contents }}}}, all lengths in two bytes.
data = store[4 + 3 + 4 + 11 + 4 + 4:]
salt = b'saltsalt'
hmac_sha256 = der(0x30, oid('1.2.840.113549.2.9'), der(5))
kdf = der(0x30, der(4, salt), der(2, bytes([100])), der(2, bytes([32])), hmac_sha256)
kdf = der(0x30, oid('1.2.840.113549.1.5.12'), kdf)
algorithm = der(0x30, oid('1.2.840.113549.1.5.14'), der(0x30, kdf, hmac_sha256))
key = hashlib.pbkdf2_hmac('sha256', b'changeit', salt, 100, 32)
digest = hmac.new(key, data, 'sha256').digest()
mac = der(0x30, der(0x30, algorithm, der(4, digest)), der(4, b'NOT USED'), der(2, bytes([1])))
with open('pbmac1.p12', 'wb') as file:
    file.write(der(0x30, store[4:], mac))
PYTHON

# Encrypted keys.
encrypt() {
    local out=$1
    shift
    openssl pkcs8 -topk8 -in "$tls/client.key.pem" -passout pass:key-password -out "$out" "$@"
}
encrypt aes-256.pem -v2 aes-256-cbc
encrypt aes-192.pem -v2 aes-192-cbc -v2prf hmacWithSHA512 -iter 100
encrypt aes-128.pem -v2 aes-128-cbc -v2prf hmacWithSHA1 -iter 100
encrypt des3.pem -v2 des3 -v2prf hmacWithSHA384 -iter 100
encrypt pbe-3des.pem -v1 PBE-SHA1-3DES
encrypt md5-des.pem -v1 PBE-MD5-DES -provider legacy -provider default
encrypt scrypt.pem -scrypt -scrypt_N 1024
openssl pkcs8 -topk8 -in "$tls/client-rsa.key.pem" -passout pass:key-password -out rsa.pem -v2 aes-256-cbc -iter 100
