/** The console, made as always, with a list of what is in it. */
import config from '../../hub/console/vite.config.ts';
import { packagesPlugin } from './packages-plugin.ts';

export default { ...config, plugins: [packagesPlugin(process.cwd())] };
