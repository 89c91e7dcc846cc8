/**
 * The CLI as one self-contained file: a release runs it, and the hub serves it to other computers (hub/api/cli.ts),
 * whose Node.js may be of any version.
 */
import config from '../../proxy/bundle.config.mjs';
import { packagesPlugin } from './packages-plugin.ts';

/** Required by undici and commander; an older Node.js would fail with a stack trace. */
const OLDEST = 22;
const TOO_OLD = `"orkestr needs Node.js ${OLDEST}.19 or later. This is "+process.version+"."`;

export default {
  ...config,
  input: { orkestr: 'hub/cli/main.ts' },
  plugins: [packagesPlugin(process.cwd())],
  output: {
    ...config.output,
    codeSplitting: false,
    // It is distributed without the release's file of licences.
    comments: { legal: true },
    banner: `if(Number.parseInt(process.versions.node)<${OLDEST}){console.error(${TOO_OLD});process.exit(1)}`,
  },
};
