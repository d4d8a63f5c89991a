// Runbook: the sections of docs/RUNBOOK.md as panels, so that the link from an alert or a verdict works wherever Grafana
// does. The text is written there and nowhere else.
local board = import '../lib/dashboard.libsonnet';
local p = import '../lib/panels.libsonnet';

// std.split takes a single character in older versions of jsonnet: what separates becomes one first.
local split(text, by) = std.split(std.strReplace(text, by, '\u0001'), '\u0001');
local lines(section) = std.split(section, '\n');
local sections = split(importstr '../../../docs/RUNBOOK.md', '\n## ')[1:];

// A link to another page of docs/ leads nowhere in Grafana: its words stay.
local inside(piece) =
  local end = std.findSubstr(')', piece);
  if std.length(end) > 0 && std.length(std.findSubstr('.md', piece[:end[0]])) > 0
  then ']' + piece[end[0] + 1:]
  else '](' + piece;
local plain(text) =
  local pieces = split(text, '](');
  std.join('', [pieces[0]] + [inside(piece) for piece in pieces[1:]]);

function(config, verdicts) board.dashboard(
  config,
  'stormglass-runbook',
  'stormglass / Runbook',
  'What each alert and each verdict means, how to look closer, and what to do. The text of docs/RUNBOOK.md.',
  [
    board.row('Alerts and verdicts', [
      p.text(lines(section)[0], plain(std.join('\n', lines(section)[1:])), width=24, height=9)
      for section in sections
    ]),
  ],
) + { refresh: '' }
