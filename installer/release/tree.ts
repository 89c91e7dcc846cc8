/** Contents and layout of a release's archive. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ORIGIN_FILE } from '../../protocol/release.ts';
import type { ReleaseOrigin } from '../../protocol/release.ts';
import { ALLOCATOR } from '../stack/allocator.ts';
import { PROXY_FLAGS } from '../stack/proxy-program.ts';

/**
 * Saves memory for a daemon that mostly waits: 1 MiB for young objects, one V8 helper thread, and only the baseline
 * compiler for WebAssembly. The optimizing one takes 12 MB to make undici's HTTP parser faster than needed here.
 * `--expose-gc` is for protocol/service/tidy.ts. Times are in UTC, which does not need ICU's 0.8 MB of time zones.
 */
const SMALL = [
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--liftoff-only',
  '--expose-gc',
  '--no-icu-timezone-data',
] as const;
/**
 * Nobody waits for the agent's own code: V8 does not optimize code that only the start makes hot, and drops what it has
 * compiled for the start at the first rest. V8 would collect an idle heap every 106 s, and the code of the rounds with
 * it: that took two thirds of an idle agent's CPU time. tidy.ts does so once it has grown.
 */
const AGENT = [
  ...SMALL,
  '--no-memory-reducer',
  '--invocation-count-for-maglev=20000',
  '--bytecode-old-age=1',
  '--flush-baseline-code',
  '--invocation-count-for-feedback-allocation=200',
] as const;

/**
 * A host whose owner has a certificate authority of their own already trusts it. If the host has a file for each
 * authority, named by its hash, OpenSSL reads the one that it needs; else Node reads all of them, and its own, at the
 * start (5 MB).
 */
const CHOOSE_TRUST = `trust=--use-system-ca
for hashed in /etc/ssl/certs/*.0; do
  [ -e "$hashed" ] && trust=--use-openssl-ca
  break
done`;
const TRUST = '$trust';

interface Program {
  readonly name: string;
  /** Below lib/. */
  readonly script: string;
  readonly flags: readonly string[];
}

const PROGRAMS: readonly Program[] = [
  { name: 'orkestr', script: 'cli/orkestr.cjs', flags: [TRUST] },
  { name: 'orkestr-agent', script: 'agent.cjs', flags: [...AGENT, TRUST] },
  { name: 'orkestr-hub', script: 'hub.cjs', flags: [...SMALL, TRUST] },
  { name: 'orkestr-proxy', script: 'proxy/main.cjs', flags: PROXY_FLAGS },
];

/** What the tree is made from. */
interface TreeParts {
  readonly root: string;
  readonly origin: ReleaseOrigin;
  /** Folder of the bundles. */
  readonly lib: string;
  /** Folder of the package with the target's Node. */
  readonly node: string;
  /** SQLite's addon for the target. */
  readonly addon: string;
  readonly installer: string;
  readonly billOfMaterials: string;
  readonly licences: string;
}

/** Lays out a release's files where its programs look for them. */
export function layOut(folder: string, parts: TreeParts): void {
  const { root, lib, node } = parts;
  mkdirSync(join(folder, 'bin'), { recursive: true });
  cpSync(lib, join(folder, 'lib'), { recursive: true });
  cpSync(join(root, 'agent/journal/schema'), join(folder, 'lib/schema'), { recursive: true });
  copyFileSync(parts.addon, join(folder, 'lib/better_sqlite3.node'));
  copyFileSync(join(node, 'bin/node'), join(folder, 'bin/node'));
  for (const program of PROGRAMS) writeProgram(join(folder, 'bin', program.name), launcher(program));
  cpSync(join(root, 'installer/units'), join(folder, 'units'), { recursive: true });
  copyPages(join(root, 'docs'), join(folder, 'docs'));
  writeProgram(join(folder, 'install.sh'), parts.installer);
  writeFileSync(join(folder, 'sbom.cdx.json'), parts.billOfMaterials);
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES'), parts.licences);
  writeFileSync(join(folder, ORIGIN_FILE), `${JSON.stringify(parts.origin, null, 2)}\n`);
  writeFileSync(join(folder, 'VERSION'), `${parts.origin.version}\n`);
}

/** Copies the pages that the hub shows at /docs. Decision records are only for readers of the sources. */
function copyPages(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) if (name.endsWith('.md')) copyFileSync(join(from, name), join(to, name));
}

function writeProgram(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/**
 * Finds its release by its own path. A link to it (/usr/local/bin) is followed once and no further, so that
 * /opt/orkestr/current stays in the path. ORKESTR_LAUNCHER passes that path to the process, because Node reports only
 * the real path of its binary: a process that starts its successor (docs/adr/0012) must start the release that is
 * current then.
 */
const launcher = ({ script, flags }: Program): string => `#!/bin/sh
self=$0
[ -L "$self" ] && self=$(readlink "$self")
here=\${self%/*}
export ORKESTR_LAUNCHER="$self" ${Object.entries(ALLOCATOR)
  .map(([name, value]) => `${name}=${value}`)
  .join(' ')}
${CHOOSE_TRUST}
exec ${['"$here/node"', ...flags, `"$here/../lib/${script}"`, '"$@"'].join(' ')}
`;
