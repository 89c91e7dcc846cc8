import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canBeAsked } from './names.ts';

const PUBLIC = 'https://acme-v02.api.letsencrypt.org/directory';
const OWN = 'https://ca.lan/acme/directory';

test('intranet names are requested only from a CA that may know them', () => {
  for (const host of ['nas.local', 'shop.internal', 'shop.home.arpa', 'a.b.lan', 'lan', 'server', 'shop.test']) {
    assert.equal(canBeAsked(host, [PUBLIC]), false, host);
    assert.equal(canBeAsked(host, [OWN]), true, host);
    assert.equal(canBeAsked(host, [PUBLIC, OWN]), true, host);
  }
});

test('IP addresses are requested from no CA, and all other names from every CA', () => {
  for (const directories of [[PUBLIC], [OWN]]) {
    assert.equal(canBeAsked('203.0.113.7', directories), false);
    for (const host of ['shop.example.com', 'lan.example.com', 'mylan.example', 'xn--mller-kva.de'])
      assert.equal(canBeAsked(`a.${host}`, directories), true, host);
  }
});
