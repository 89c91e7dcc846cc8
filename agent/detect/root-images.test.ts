import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const warnings = async (dockerfile: string, asked = {}): Promise<string> =>
  (await repository.plan({ Dockerfile: dockerfile }, asked)).warnings.join('\n');

test('an image that starts as root and changes its user causes a warning with the command to permit it', async () => {
  const said = await warnings('FROM node:26 AS build\nFROM docker.io/library/nginx:1.30-alpine\nEXPOSE 80');
  assert.match(said, /nginx:1\.30-alpine starts as root/);
  assert.match(said, /orkestr environment set --setting 'capabilities=\["CHOWN","SETGID","SETUID"\]'/);
  for (const image of ['nginx', 'php:8.4-apache', 'php:8.4-fpm', 'httpd:2', 'wordpress:6', 'nginx:1@sha256:0123'])
    assert.match(await warnings(`FROM ${image}`), /capabilities=/, image);
});

test('no warning appears if the environment has the capabilities or the image has another user', async () => {
  const nginx = 'FROM nginx:1\n';
  assert.equal(await warnings(nginx, { capabilities: ['SETUID', 'SETGID', 'CHOWN'] }), '');
  assert.match(await warnings(nginx, { capabilities: ['SETUID'] }), /capabilities=/);
  assert.equal(await warnings(`${nginx}USER 101\n`), '');
  assert.match(await warnings(`${nginx}USER root\n`), /capabilities=/);
  for (const image of ['nginxinc/nginx-unprivileged:1', 'my/nginx:1', 'php:8.4-cli', 'node:26', 'nginx-exporter:1'])
    assert.equal(await warnings(`FROM ${image}`), '', image);
});

test('a stage based on another stage has the image and the user of that stage', async () => {
  assert.match(await warnings('FROM nginx:1 AS base\nFROM node:26 AS build\nFROM base\n'), /nginx:1 starts as root/);
  assert.equal(await warnings('FROM nginx:1 AS base\nUSER 101\nFROM base\n'), '');
  assert.equal(await warnings('FROM nginx:1 AS site\nFROM node:26\n'), '');
});

test('a program with a file capability needs it as any user', async () => {
  assert.match(await warnings('FROM caddy:2\nUSER 1000\n'), /capabilities=\["NET_BIND_SERVICE"\]/);
});

test('with a target the stage of that name or number counts', async () => {
  const dockerfile = 'FROM caddy:2 AS web\nEXPOSE 80\nFROM node:26 AS api\nEXPOSE 3000\nFROM nginx:1\nEXPOSE 8080';
  const made = async (target: string): Promise<readonly unknown[]> => {
    const { port, evidence, warnings } = await repository.plan({ Dockerfile: dockerfile }, { target });
    const base = evidence.find(({ subject }) => subject === 'runtime')?.value;
    return [port, base, warnings.map((warning) => warning.split(' ', 1)[0])];
  };
  assert.deepEqual(await made('api'), [3000, 'node:26', []]);
  assert.deepEqual(await made('WEB'), [80, 'caddy:2', ['caddy:2']]);
  assert.deepEqual(await made('1'), [3000, 'node:26', []]);
  assert.deepEqual(await made('2'), [8080, 'nginx:1', ['nginx:1']]);
});

test('a VOLUME of the final stage causes a warning, because its data is lost with the container', async () => {
  const said = await warnings(
    'FROM node:26 AS base\nVOLUME ["/data"]\nFROM node:26 AS other\nFROM base\nVOLUME /more\n',
  );
  assert.match(said, /^Dockerfile line 2 has a VOLUME: each deployment begins with an empty volume/);
  assert.equal(await warnings('FROM node:26 AS build\nVOLUME /data\nFROM node:26\n'), '');
});
