/** The proxy's bundle, made as always, with a list of what is in it. */
import config from '../../proxy/bundle.config.mjs';
import { packagesPlugin } from './packages-plugin.ts';

export default { ...config, plugins: [...config.plugins, packagesPlugin(process.cwd())] };
