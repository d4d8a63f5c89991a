// Whether provisioning, prometheus.yml, docker-compose.yml and the kustomizations agree: what one names, another must have.
// Usage: NODE_PATH=MODULES node provisioning.js REPOSITORY
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { parse } = require('yaml');
const { Runs, dashboards } = require('./grafana.js');

const root = process.argv[2];
const yaml = (name) => parse(fs.readFileSync(path.join(root, name), 'utf8'), { merge: true });
const runs = new Runs();
const must = (holds, what) => (holds ? runs.pass(what) : runs.fail(what));

const { services } = yaml('docker-compose.yml');
const prometheus = yaml('grafana/prometheus.yml');
const { grafana } = services;
const mounts = (service) => new Map(service.volumes.map((volume) => volume.split(':').slice(0, 2)));

const sources = yaml('grafana/provisioning/datasources/prometheus.yml');
must(sources.apiVersion === 1 && sources.datasources.length === 1, 'one data source, of the version that Grafana reads');
const [source] = sources.datasources;
must(source.type === 'prometheus' && source.isDefault === true && source.access === 'proxy', 'it is the default Prometheus');
must(source.jsonData.timeInterval === prometheus.global.scrape_interval, 'its interval is that of the scrapes');
const variable = /^\$\{(\w+)\}$/.exec(source.url)?.[1];
const port = Number(/:(\d+)$/.exec(grafana.environment[variable] ?? '')?.[1]);
must(grafana.environment[variable] === `http://prometheus:${port}` && services.prometheus.ports[0].endsWith(`:${port}`), 'its address is that of the service prometheus');

const { apiVersion, providers } = yaml('grafana/provisioning/dashboards/stormglass.yml');
must(apiVersion === 1 && providers.length === 1 && providers[0].type === 'file', 'one provider of files');
const folder = mounts(grafana).get('./grafana/dashboards');
must(providers[0].options.path === folder, 'it reads the folder that is mounted');
must(mounts(grafana).get('./grafana/provisioning') === '/etc/grafana/provisioning', 'provisioning lies where the image looks');
const home = grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH;
const files = dashboards(root).map(({ file }) => file);
must(path.dirname(home) === folder && path.basename(home) === 'contention.json' && files.includes('contention.json'), 'the home page is the Contention dashboard');

const [job] = prometheus.scrape_configs;
const target = job.static_configs[0].targets[0].split(':')[0];
must(services[target]?.command.join(' ').includes(`--allow-host ${target}`), 'the sidecar answers to the name by which it is scraped');
must(mounts(services.prometheus).get('./grafana/rules') === '/etc/prometheus/rules' && prometheus.rule_files[0].startsWith('rules/'), 'rules lie where prometheus.yml looks');

for (const [name, service] of Object.entries(services)) {
  const hard = service.cap_drop?.includes('ALL') && service.security_opt?.includes('no-new-privileges:true') && !service.privileged && !service.cap_add;
  must(hard && (service.read_only || name === 'app'), `${name}: no capability, no new privilege, no root that can be written`);
  must((service.ports ?? []).every((published) => published.startsWith('127.0.0.1:')), `${name}: published on loopback alone`);
  must(/:(v?\d+\.\d+\.\d+|local)$/.test(service.image) || name === 'app', `${name}: the version is pinned`);
  for (const on of Object.keys(service.depends_on ?? {})) must(on in services, `${name}: waits for ${on}, which exists`);
}
const dockerfile = fs.readFileSync(path.join(root, 'Dockerfile'), 'utf8');
must(/^USER 10001:10001$/m.test(dockerfile) && services.app.user === '10001:10001', 'who writes segments and who reads them is one user, and not root');
must(/cargo build --release --locked/.test(dockerfile), 'the image is built from Cargo.lock');
must(services.benchmark.pid === 'service:sidecar' && services.app.pid === 'service:sidecar', 'writers share the pid namespace of the sidecar');

const mapped = yaml('grafana/kustomization.yaml').configMapGenerator.flatMap((map) => map.files.map((file) => path.basename(file)));
must(files.every((file) => mapped.includes(file)) && mapped.length === files.length, 'every dashboard is a ConfigMap');
runs.end('provisioning');
