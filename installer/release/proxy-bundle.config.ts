/** The proxy's bundle, built as always, with a list of the packages in it. */
import config from '../../proxy/bundle.config.mjs';
import { packagesPlugin } from './packages-plugin.ts';

export default { ...config, plugins: [...config.plugins, packagesPlugin(process.cwd())] };
