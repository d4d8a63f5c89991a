// Builds each kustomization of deploy/kubernetes, and checks every object against the schemas that Kubernetes and the
// Prometheus operator publish, as the npm packages of kubernetes-models carry them; then what no schema knows. Those schemas
// let unknown fields pass, as a cluster does: so each object is also written to OUT/types as a value of its TypeScript
// type, for tsc, which does not.
// Usage: NODE_PATH=MODULES node kubernetes.js REPOSITORY OUT
'use strict';
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseAllDocuments } = require('yaml');
const { Runs } = require('./grafana.js');

const [root, out] = process.argv.slice(2);
const runs = new Runs();

// The packages have ES modules alone, which do not look into NODE_PATH.
async function model({ apiVersion, kind }) {
  const pack = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  return (await import(path.join(process.env.NODE_PATH, pack, apiVersion, `${kind}.js`)))[kind];
}

async function problem(object) {
  const Model = await model(object);
  try {
    new Model(object).validate();
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function typed(object, file) {
  const { apiVersion, kind } = object;
  const pack = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  fs.writeFileSync(path.join(out, 'types', `${file}.mts`),
    `import type { I${kind} } from '${pack}/${apiVersion}/${kind}';\nexport const object: I${kind} = ${JSON.stringify(object, null, 2)};\n`);
}

function pods(object) {
  return object.spec?.template?.spec ? [object.spec.template] : [];
}

async function all() {
  for (const folder of fs.readdirSync(path.join(root, 'deploy/kubernetes'), { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const text = execFileSync('kubectl', ['kustomize', path.join(root, 'deploy/kubernetes', folder.name)], { encoding: 'utf8' });
    fs.writeFileSync(path.join(out, `kubernetes-${folder.name}.yaml`), text);
    const objects = parseAllDocuments(text).map((document) => document.toJS());
    if (objects.length === 0) runs.fail(`${folder.name}: nothing came of it`);
    for (const object of objects) {
      const name = `${folder.name}: ${object.kind} ${object.metadata.name}`;
      const wrong = await problem(object);
      if (wrong) runs.fail(`${name}: ${wrong}`);
      else runs.pass(name);
      typed(object, `kubernetes-${folder.name}-${object.kind}-${object.metadata.name}`);
      for (const { metadata, spec } of pods(object)) {
        const containers = [...(spec.initContainers ?? []), ...spec.containers];
        const volumes = new Set(spec.volumes.map((volume) => volume.name));
        for (const container of containers) {
          for (const mount of container.volumeMounts ?? []) if (!volumes.has(mount.name)) runs.fail(`${name}: no volume ${mount.name}`);
          if (container.securityContext?.readOnlyRootFilesystem !== true) runs.fail(`${name}: the root of ${container.name} can be written`);
          if (!container.resources?.limits?.memory) runs.fail(`${name}: ${container.name} has no memory limit`);
        }
        // What the PodMonitor looks for, it must find.
        if (metadata.labels.stormglass !== 'watched') runs.fail(`${name}: its pods lack the label of the PodMonitor`);
        if (!containers.some((container) => container.ports?.some((port) => port.name === 'stormglass'))) runs.fail(`${name}: no port named stormglass`);
        // Who writes segments and who reads them is one user, of one directory.
        const directories = new Set(containers.flatMap((container) => (container.env ?? []).filter((one) => one.name === 'STORMGLASS_DIR').map((one) => one.value)));
        if (directories.size !== 1) runs.fail(`${name}: ${directories.size} directories of segments`);
      }
    }
  }

  // The check must be able to fail.
  if (!await problem({ apiVersion: 'monitoring.coreos.com/v1', kind: 'PodMonitor', metadata: { name: 'x' }, spec: { selektor: {} } })) {
    runs.fail('a PodMonitor without a selector passes: the check is worth nothing');
  }
}

all().then(() => runs.end('kubernetes'), (error) => {
  console.error(error);
  process.exitCode = 1;
});
