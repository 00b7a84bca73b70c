// s3rver.cjs - s3rver with a key pair of the caller's: s3rver.cjs PORT FOLDER ACCESS SECRET
'use strict';
const S3rver = require('@20minutes/s3rver');
const { DUMMY_ACCOUNT } = require('@20minutes/s3rver/lib/models/account');

const [port, directory, access, secret] = process.argv.slice(2);
DUMMY_ACCOUNT.createKeyPair(access, secret);
new S3rver({ port: Number(port), address: '127.0.0.1', silent: true, directory, serviceEndpoint: 'localhost' }).run();
