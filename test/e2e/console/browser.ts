/** For the console's tests: a browser, logged-in pages, and a connection to the hub that can be cut. */
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { buildConsole } from '../../../installer/prepare/console.ts';
import { ROOT } from '../../../installer/stack/stack.ts';
import { launchChromium } from '../../harness/chromium.ts';
import { freePort } from '../../harness/free-port.ts';
import { seedHub } from './seed.ts';
import type { SeededHub } from './seed.ts';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export interface OpenOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly url?: string;
  readonly token?: string;
}

interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors that the browser reports: policy, scripts. */
  readonly complaints: string[];
  readonly close: () => Promise<void>;
}

export interface ConsoleBrowser {
  readonly hub: SeededHub;
  readonly browser: Browser;
  /** Opens a page of the console in its own context, logged in. */
  open(path: string, options?: OpenOptions): Promise<OpenPage>;
  stop(): Promise<void>;
}

/** One for all parts of console.test.ts: their pages are apart, each in its own context. */
let launched: Promise<Browser> | undefined;

async function launch(): Promise<Browser> {
  await buildConsole(ROOT, () => undefined);
  return launchChromium();
}

export async function closeBrowser(): Promise<void> {
  await (await launched)?.close();
}

/** Starts the built console on its own hub. */
export async function startConsole(): Promise<ConsoleBrowser> {
  launched ??= launch();
  const browser = await launched;
  const hub = await seedHub();
  return {
    hub,
    browser,
    async open(path, { viewport = DESKTOP, url = hub.url, token = hub.token } = {}) {
      const context = await browser.newContext({ viewport });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        // The first request asks who is logged in, and 401 is the correct response.
        if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text());
      });
      await page.goto(url + path);
      await logIn(page, token);
      return { page, context, complaints, close: () => context.close() };
    },
    async stop() {
      // A test that failed has left its pages open.
      await Promise.all(browser.contexts().map((context) => context.close()));
      await hub.stop();
    },
  };
}

export async function logIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('API token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** A plain TCP forwarder in front of the hub that can be cut and restored on the same port. */
export async function startWire(target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((inward) => {
    const outward = connect(Number(port), hostname);
    for (const [socket, other] of [[inward, outward] as const, [outward, inward] as const]) {
      sockets.add(socket);
      socket.on('error', () => other.destroy()); // cut: the other side ends too
      socket.on('close', () => sockets.delete(socket));
    }
    inward.pipe(outward).pipe(inward);
  });
  const listen = (at: number): Promise<void> => new Promise((resolve) => server.listen(at, '127.0.0.1', resolve));
  // A port that will still be free when it is restored.
  const own = await freePort();
  await listen(own);
  const cut = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { url: `http://127.0.0.1:${own}`, cut, mend: () => listen(own), close: cut };
}

export const step = (page: Page, name: string) =>
  page.getByRole('list', { name: 'Steps' }).getByRole('button', { name });
export const logLines = (page: Page): Promise<string[]> => page.locator('.log-lines li').allInnerTexts();

/** Pixels by which the page is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
