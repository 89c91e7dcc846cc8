/**
 * The CLI as one file that needs nothing beside it: a release runs it, and the hub hands it on to other computers
 * (hub/api/cli.ts), whose Node.js may be of any age.
 */
import config from '../../proxy/bundle.config.mjs';
import { packagesPlugin } from './packages-plugin.ts';

/** What undici and commander ask for; an older one would end with a stack trace. */
const OLDEST = 22;
const TOO_OLD = `"orkestr needs Node.js ${OLDEST}.19 or later. This is "+process.version+"."`;

export default {
  ...config,
  input: { orkestr: 'hub/cli/main.ts' },
  plugins: [packagesPlugin(process.cwd())],
  output: {
    ...config.output,
    codeSplitting: false,
    // It goes without the release's file of licences.
    comments: { legal: true },
    banner: `if(Number.parseInt(process.versions.node)<${OLDEST}){console.error(${TOO_OLD});process.exit(1)}`,
  },
};
