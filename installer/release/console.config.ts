/** The console, built as always, with a list of the packages in it. */
import config from '../../hub/console/vite.config.ts';
import { packagesPlugin } from './packages-plugin.ts';

export default { ...config, plugins: [packagesPlugin(process.cwd())] };
