/** The console in a real browser, served by real hubs; the tests act as the agent. All parts share a browser. */
import { after, describe } from 'node:test';
import { closeBrowser } from './console/browser.ts';

const PARTS = {
  'its pages': () => import('./console/pages.ts'),
  'what to do next': () => import('./console/next-step.ts'),
  'when something is wrong': () => import('./console/trouble.ts'),
  'changes under an open page': () => import('./console/stays-right.ts'),
  "an app's output": () => import('./console/app-log.ts'),
};

for (const [name, load] of Object.entries(PARTS))
  void describe(`the console: ${name}`, async () => void (await load()));
after(closeBrowser);
