import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { RepositoryFolder } from './test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

type Files = Readonly<Record<string, string>>;
const OWN: Files = { Dockerfile: 'FROM a:1\n' };

/** The warning about a compose file of these services. */
async function warningOf(services: string, files = OWN): Promise<string> {
  const { warnings } = await folder.plan({ ...files, 'compose.yaml': `services:\n${services}` });
  return warnings.find((one) => one.includes('compose.yaml')) ?? '';
}

const STORES = `
  db:
    image: postgres:17-alpine
    volumes: [data:/var/lib/postgresql/data]
  cache:
    image: "docker.io/bitnami/redis@sha256:abc"  # a cache
  sql:
    image: mcr.microsoft.com/mssql/server:2022-latest
`;

describe('a compose file', () => {
  test('without anything else that is built causes an error that says what becomes of each service', async () => {
    const services = `services:\n  web:\n    build: ./web\n    ports:\n      - 80${STORES}  proxy:\n    image: traefik:v3\n`;
    const { code, message } = await folder.refusal({ 'docker-compose.yml': `${services}volumes:\n  data: {}\n` });
    assert.equal(code, 'ORK_COMPOSE_FILE');
    assert.match(message, /environment for each of the services that the repository builds: web\./);
    assert.match(
      message,
      /Run its databases and caches yourself, see docs\/services\.md: db \(postgres\), cache \(redis\), sql \(server\)\./,
    );
    assert.match(message, /It names no build for proxy \(traefik\)\./);
  });

  test('leaves out the service that the plan is for', async () => {
    assert.equal(
      await warningOf(`  web:\n    build: .${STORES}`),
      'orkestr does not use compose.yaml. Run its databases and caches yourself, see docs/services.md: db (postgres), cache (redis), sql (server).',
    );
    const two = '  api:\n    build: ./api\n  web:\n    build:\n      context: ./\n      dockerfile: ./Dockerfile\n';
    assert.match(await warningOf(two), /its other services that the repository builds: api\.$/);
    const files =
      '  one:\n    build: {context: ., dockerfile: A}\n  two:\n    build: { context: ".", dockerfile: "Dockerfile" }\n';
    assert.match(await warningOf(files), /that the repository builds: one\.$/);
  });

  test('counts a service as built that merges, extends or runs the image of one that is', async () => {
    const services = [
      'x-app: &app\n  build: .\nservices:\n  web:\n    <<: *app\n  worker:\n    <<: [*app]\n    command: work\n',
      'services:\n  web:\n    build: .\n    image: me/shop:1\n  worker:\n    image: me/shop:1\n',
      'services:\n  web:\n    build: .\n  worker:\n    extends:\n      service: web\n',
    ];
    for (const text of services) {
      const { warnings } = await folder.plan({ ...OWN, 'compose.yaml': text });
      assert.match(warnings.join(), /that the repository builds: worker\.$/, text);
    }
  });

  test('causes no endless work by merges of merges', async () => {
    const anchors = Array.from({ length: 200 }, (_, at) => `x-${at}: &a${at}\n  <<: [*a${at}, *a${(at + 1) % 200}]\n`);
    const { warnings } = await folder.plan({
      ...OWN,
      'compose.yaml': `${anchors.join('')}services:\n  web:\n    <<: *a0\n`,
    });
    assert.deepEqual(warnings, ['orkestr does not use compose.yaml. It names no build for web.']);
  });

  test('that cannot be read as text fails no deployment of a Dockerfile', async () => {
    const { warnings } = await folder.plan({ ...OWN, 'compose.yaml': Buffer.from([0xff, 0xfe, 0xff]) });
    assert.deepEqual(warnings, []);
  });
});
