/** The frame of every page. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { Me } from '../../../api/schemas.ts';
import { useSession } from '../api/session.ts';
import { ActionButton } from './action-button.tsx';

const PAGES = [
  { path: '/', name: 'Projects', under: ['/projects', '/deployments'] },
  { path: '/hosts', name: 'Hosts', under: [] },
];

export function Layout({ me, children }: { me: Me; children: ComponentChildren }) {
  const { path } = useLocation();
  const { logOut } = useSession();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  // The clicked element is gone: move the focus to the new page, for the next Tab and for screen readers.
  useEffect(() => {
    if (path !== shown.current) main.current?.focus({ preventScroll: true });
    shown.current = path;
  }, [path]);
  const isIn = (page: (typeof PAGES)[number]): boolean =>
    path === page.path || page.under.some((prefix) => path.startsWith(prefix));
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <img src="/favicon.svg" alt="" width="22" height="22" /> orkestr
        </a>
        <nav class="top-nav" aria-label="Main">
          {PAGES.map((page) => (
            <a key={page.path} href={page.path} aria-current={isIn(page) ? 'page' : undefined}>
              {page.name}
            </a>
          ))}
        </nav>
        <div class="top-user">
          <span class="top-who" title={me.user.email}>
            {me.team.name} <span class="tag">{me.team.plan}</span>
          </span>
          <ActionButton act={logOut}>Log out</ActionButton>
        </div>
      </header>
      <main id="main" class="page" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

interface HeadProps {
  readonly title: string;
  /** Title of the browser's tab, if it differs. */
  readonly tab?: string;
  readonly trail?: ComponentChildren;
  readonly children?: ComponentChildren;
}

/** The heading of a page, which also sets the title of the browser's tab. */
export function PageHead({ title, tab = title, trail, children }: HeadProps) {
  useEffect(() => {
    document.title = `${tab} · orkestr`;
  }, [tab]);
  return (
    <div class="page-head">
      <div>
        {trail && (
          <nav class="trail" aria-label="Where you are">
            {trail}
          </nav>
        )}
        <h1>{title}</h1>
      </div>
      {children && <div class="actions">{children}</div>}
    </div>
  );
}
