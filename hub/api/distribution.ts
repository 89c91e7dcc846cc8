/** Serves the release of orkestr that this hub has, so that a host needs to reach nothing else: installer, archives, checksums. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { INSTALLER_FILE, MANIFEST_FILE, ReleaseFile, ReleaseManifest, SUMS_FILE } from '../../protocol/release.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { joinCommand } from './join-command.ts';

const JoinFacts = z.object({
  hubUrl: z.url(),
  version: z.string(),
  /** ed25519, base64 of its DER: verifies SHA256SUMS.sig. */
  releaseKey: z.string(),
  /** To be pasted on the host, with the token in place of TOKEN. */
  command: z.string(),
  files: z.array(ReleaseFile),
});

export function registerDistribution(app: HubApp, { config, hubUrl }: Pick<HubDeps, 'config' | 'hubUrl'>): void {
  const folder = config.releaseFolder;
  app.get(
    '/join',
    { schema: { summary: 'What a host needs to join', tags: ['hosts'], response: { 200: JoinFacts } } },
    () => {
      const { version, publicKey, files } = readManifest(folder);
      // Without the e-mail address: this route is public.
      return { hubUrl: hubUrl(), version, releaseKey: publicKey, command: joinCommand(hubUrl(), 'TOKEN'), files };
    },
  );
  app.get(`/${INSTALLER_FILE}`, { schema: { hide: true } }, (_request, reply) => {
    readManifest(folder);
    return reply
      .type('text/x-shellscript; charset=utf-8')
      .header('cache-control', 'no-cache')
      .send(installerOf(required(folder), hubUrl()));
  });
  app.get(
    '/releases/:file',
    { schema: { hide: true, params: z.object({ file: z.string().max(200) }) } },
    (request, reply) => {
      const { file } = request.params;
      // Only files that the manifest names are served.
      const known = readManifest(folder).files.find(({ name }) => name === file);
      if (known === undefined && file !== MANIFEST_FILE) {
        throw new OrkestrError('ORK_NOT_FOUND', `The release of this hub has no file ${file}.`);
      }
      if (known !== undefined) reply.header('content-length', known.bytes);
      return reply.type('application/octet-stream').send(createReadStream(join(required(folder), file)));
    },
  );
}

/**
 * Reads the manifest each time, since another version may have been installed. Leaves out archives that are missing
 * here.
 * @throws OrkestrError ORK_NOT_FOUND when the hub has no release
 */
export function readManifest(folder: string | undefined): ReleaseManifest {
  let text: string;
  try {
    text = readFileSync(join(required(folder), MANIFEST_FILE), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new OrkestrError('ORK_NOT_FOUND', `There is no release in ${folder}.`, { cause });
  }
  const manifest = ReleaseManifest.parse(JSON.parse(text));
  return { ...manifest, files: manifest.files.filter(({ name }) => existsSync(join(required(folder), name))) };
}

/** The version that this hub serves; null: none. */
export function servedVersion(folder: string | undefined): string | null {
  try {
    return readManifest(folder).version;
  } catch {
    return null; // a request for the release itself reports the error
  }
}

function required(folder: string | undefined): string {
  if (folder !== undefined) return folder;
  throw new OrkestrError('ORK_NOT_FOUND', 'This hub has no release to offer: ORKESTR_HUB_RELEASES is not set.');
}

/**
 * install.sh with this hub's URL, and with the checksum of the checksum list, for hosts that cannot verify a signature.
 */
function installerOf(folder: string, hubUrl: string): string {
  const sums = createHash('sha256')
    .update(readFileSync(join(folder, SUMS_FILE)))
    .digest('hex');
  const facts = { HUB_URL: hubUrl, HUB_SUMS_SHA256: sums };
  let text = readFileSync(join(folder, INSTALLER_FILE), 'utf8');
  for (const [name, value] of Object.entries(facts)) {
    // A URL's origin and a hex number contain nothing that ends a quoted word of a shell.
    text = text.replace(`\n${name}=''\n`, () => `\n${name}='${value}'\n`);
  }
  return text;
}
