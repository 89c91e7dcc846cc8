/** What `orkestr-agent --help` and its commands show after the list of options. */

export const HELP = `
Examples:
  $ orkestr-agent join --hub https://hub.example.com --token TOKEN
  $ orkestr-agent serve
  $ orkestr-agent status
  $ orkestr-agent doctor
  $ orkestr-agent upgrade
  $ orkestr-agent routes
  $ orkestr-agent logs --step build
  $ orkestr-agent base-images build node python
  $ orkestr-agent analyze ./shop

Environment (on a host that install.sh made, what is not set is taken from /etc/orkestr/agent.env):
  ORKESTR_AGENT_STATE    folder of identity, journal, logs and workspaces (default /var/lib/orkestr/agent)
  ORKESTR_AGENT_RUN      folder of sockets (default /run/orkestr)
  ORKESTR_PROXY_SOCKET   admin socket of the proxy (default /run/orkestr/proxy.sock)
  ORKESTR_DOCKER_SOCKET  socket of Docker Engine (default /var/run/docker.sock)
  ORKESTR_BASE_IMAGES    JSON file: kind of base image -> image name
  ORKESTR_BUILD_SLOTS    builds at a time, 1 to 4 (default half of the cores)
  ORKESTR_BUILD_DISK_MIB size of the disk of each build slot (default 20 GiB, less when the host has less room;
                         0: no disk of its own and no limit, for hosts without loop devices)
  ORKESTR_CHANNEL        channel that an upgrade takes its version from, where no hub hands one on (default stable)
  ORKESTR_LOG_LEVEL      trace, debug, info, warn, error, fatal or silent (default info)`;

export const ROUTES_HELP = `
Examples:
  $ orkestr-agent routes                      # live: targets, in flight, streams, requests per second, errors
  $ orkestr-agent routes --once
  $ orkestr-agent routes --json | jq '.upstreams[] | {name, generation, held}'

Only the proxy's admin socket is needed; a running agent adds the names of projects.`;

export const DOCTOR_HELP = `
Examples:
  $ orkestr-agent doctor                      # every check: what it found, how it knows, and the mend
  $ orkestr-agent doctor --fix                # mends file modes and firewall rules
  $ orkestr-agent doctor --bundle host.tar.gz # for support: report, status and last log lines, without secrets
  $ orkestr-agent doctor --json | jq -r '.checks[].problems[] | "\\(.id): \\(.mend)"'

Neither hub nor agent nor Docker is needed. Nothing restarts, and nothing is taken away without --fix --yes.
All checks with their mends: docs/troubleshooting.md.`;

export const BASE_IMAGES_HELP = `
Examples:
  $ orkestr-agent base-images build node python
  $ orkestr-agent base-images build node:24       # beside the default, for apps that ask for it`;

export const ANALYZE_HELP = `
Examples:
  $ orkestr-agent analyze .                   # plan, where each fact was read, warnings, and the Dockerfile
  $ orkestr-agent analyze . --root apps/web   # one app of a workspace
  $ orkestr-agent analyze . --json | jq -r .dockerfile.text

Nothing is built and nothing is changed. Without an agent's configuration the default base images are named.`;

export const UPGRADE_HELP = `
Examples:
  $ orkestr-agent upgrade                     # to the version that this host's hub hands on
  $ orkestr-agent upgrade --dry-run
  $ orkestr-agent upgrade --from ./release    # files of a release in a folder: for hubs, and hosts without internet
  $ orkestr-agent upgrade --version 0.1.0 --allow-downgrade
  $ orkestr-agent upgrade --follow            # look on at the one under way, or see how the last one ended

It is fetched, checked (signature of who made the release that runs), tried on this host, and then switched to: apps are
served on, and deployments under way go on in the new version. When that is not healthy within a minute, the one before it
comes back by itself. It is carried out by a unit of its own, orkestr-upgrade: closing this terminal does not stop it.
Exit code 0: the version runs. 1: it does not, and the one before it does.`;

export const FIREWALL_HELP = `
Examples:
  $ orkestr-agent firewall                    # as orkestr-firewall.service does it at boot, before Docker starts apps
  $ iptables -t mangle -S                     # what is there

Neither hub nor agent nor Docker is needed. \`orkestr-agent doctor\` says what is not in place.`;

export const TRIAL_HELP = `
Examples:
  $ /opt/orkestr/releases/0.2.0/bin/orkestr-agent trial
  $ orkestr-agent trial --json

Identity, journal (a copy is migrated), Docker Engine, proxy and hub are looked at; nothing is changed. Every upgrade does
it with the new release before anything is switched.`;

export const HUB_HELP = `
Examples:
  $ orkestr-agent hub                          # where it is
  $ orkestr-agent hub https://hub.example.com  # the hub has moved: it is dialled there

Apps run on. It has to be the hub that this host was enrolled with, by its key: another one is refused.`;

export const LOGS_HELP = `
Examples:
  $ orkestr-agent logs                                     # why the newest deployment failed
  $ orkestr-agent logs --app shop/production --follow      # what the app writes
  $ orkestr-agent logs --app shop/production --since 10m

Neither hub nor agent is needed: deployments' logs are files here, and Docker keeps the last 30 MB of each app's.`;

export const LEAVE_HELP = `
Examples:
  $ orkestr-agent leave

Gone are containers, images, networks, firewall rules, the build engine, and the agent's state. Programs, settings, the proxy, and a
hub on this host stay: the host can join again.`;

export const UNINSTALL_HELP = `
Examples:
  $ orkestr-agent uninstall
  $ orkestr-agent uninstall --keep-data       # off now, and on again later: the next installation goes on with it
  $ orkestr-agent uninstall --purge           # for scripts

Gone are containers, images, networks, firewall rules and the build engine, and where install.sh was run its units, users,
programs, settings and state (the hub's too, when it is here). Packages of the distribution stay.`;
