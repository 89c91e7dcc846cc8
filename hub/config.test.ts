import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../protocol/errors.ts';
import { readConfig } from './config.ts';

test('an empty environment gives the defaults', () => {
  const config = readConfig({});
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 7700 });
  assert.equal(config.publicUrl, undefined);
  assert.equal(config.appsUrl, 'http://localhost:8080');
  assert.equal(config.allowHttpRepositories, false);
});

test('addresses are read, of both families', () => {
  assert.deepEqual(readConfig({ ORKESTR_HUB_LISTEN: '[::1]:0' }).listen, { host: '::1', port: 0 });
  assert.equal(readConfig({ ORKESTR_HUB_URL: 'https://hub.example.com/' }).publicUrl, 'https://hub.example.com');
});

const wrong = {
  ORKESTR_HUB_LISTEN: ['7700', '127.0.0.1', '127.0.0.1:70000', 'a b:1'],
  ORKESTR_HUB_URL: ['hub.example.com', 'ftp://x', 'https://x/path', 'https://u:p@x', 'https://x?a=b'],
  ORKESTR_HUB_ACME_EMAIL: ['you', 'a@b@c', 'a b@c', 'a@b\nX=1'],
  ORKESTR_APPS_URL: ['', 'http://x/y'],
  ORKESTR_ALLOW_HTTP_REPOSITORIES: ['yes', ''],
  ORKESTR_LOG_LEVEL: ['loud'],
};
for (const [name, values] of Object.entries(wrong)) {
  test(`a wrong ${name} is refused by its name`, () => {
    for (const value of values) {
      assert.throws(
        () => readConfig({ [name]: value }),
        (error) => error instanceof OrkestrError && error.code === 'ORK_CONFIG' && error.message.includes(name),
        value,
      );
    }
  });
}
