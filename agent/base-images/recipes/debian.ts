import { CA_BUNDLE, type BaseRecipe } from '../recipe.ts';

/** A minimal Debian that trusts what the machine trusts. The others are made from it. */
export const debian: BaseRecipe = {
  kind: 'debian',
  from: 'debootstrap',
  packages: ['ca-certificates'],
  files: {
    // As the slim images of Debian do: what nobody reads in a container is never unpacked. Licences stay.
    '/etc/dpkg/dpkg.cfg.d/slim': [
      'path-exclude /usr/share/doc/*',
      'path-include /usr/share/doc/*/copyright',
      'path-exclude /usr/share/man/*',
      'path-exclude /usr/share/info/*',
      'path-exclude /usr/share/locale/*',
      'force-unsafe-io',
      '',
    ].join('\n'),
    '/etc/apt/apt.conf.d/slim': [
      'APT::Install-Recommends "false";',
      'Acquire::Languages "none";',
      'Acquire::GzipIndexes "true";',
      'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };',
      '',
    ].join('\n'),
    // Services of packages must not start while an image is made (policy-rc.d(8): 101 = forbidden).
    '/usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
  },
  env: {
    SSL_CERT_FILE: CA_BUNDLE,
    NODE_EXTRA_CA_CERTS: CA_BUNDLE,
    PIP_CERT: CA_BUNDLE,
    REQUESTS_CA_BUNDLE: CA_BUNDLE,
    GIT_SSL_CAINFO: CA_BUNDLE,
  },
  command: ['bash'],
};
