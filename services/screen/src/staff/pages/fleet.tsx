import { type Agent } from "../agents";
import { type Shift } from "../desk";
import { clock, count, milliseconds, t } from "../strings";

const WIDTH = 120, HEIGHT = 32;

// Two lines of the same scale, p99 behind p50.
function Sparkline({ agent }: { agent: Agent }) {
  const top = Math.max(1, ...agent.history.map(({ p99 }) => p99)) * 1.1;
  const line = (of: "p50" | "p99") =>
    agent.history.map((point, index) => `${((index / Math.max(1, agent.history.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - (point[of] / top) * (HEIGHT - 2)).toFixed(1)}`).join(" ");
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t("fleet.spark", { name: agent.name, p50: milliseconds(agent.p50), p99: milliseconds(agent.p99) })} preserveAspectRatio="none">
      <polyline class="p99" points={line("p99")} />
      <polyline class="p50" points={line("p50")} />
    </svg>
  );
}

export function Fleet({ shift }: { shift: Shift }) {
  const agents = shift.agents.list.value;
  const errors = shift.agents.errors.value;
  return (
    <>
      {agents.length === 0 ? (
        <p class="hint">{t("fleet.none")}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("nav.fleet")}>
          <table class="agents">
            <thead>
              <tr>
                <th scope="col">{t("fleet.agent")}</th>
                <th scope="col">{t("fleet.health")}</th>
                <th scope="col" class="number">{t("fleet.copies")}</th>
                <th scope="col">{t("fleet.answer")}</th>
                <th scope="col" class="number">{t("fleet.work")}</th>
                <th scope="col" class="number">{t("fleet.requests")}</th>
                <th scope="col" class="number">{t("fleet.errors")}</th>
                <th scope="col" class="number">{t("fleet.lag")}</th>
                <th scope="col" class="number">{t("fleet.memory")}</th>
              </tr>
            </thead>
            <tbody>
              {agents.map((agent) => (
                <tr key={agent.name} data-agent={agent.name}>
                  <th scope="row">{agent.name}</th>
                  <td><span class={`health ${agent.health}`}>{t(`health.${agent.health}`)}</span></td>
                  <td class="number">{agent.copies.filter(({ status }) => status !== "silent").length}</td>
                  <td class="latency">
                    <Sparkline agent={agent} />
                    <span>{milliseconds(agent.p50)} / {milliseconds(agent.p99)}</span>
                  </td>
                  <td class="number">{agent.work === undefined ? "–" : milliseconds(agent.work)}</td>
                  <td class="number">{count(agent.requests)}</td>
                  <td class="number" title={agent.lastError}>{count(agent.errors)}</td>
                  <td class="number">
                    {agent.lag === undefined ? "–" : count(agent.lag)}
                    {agent.inWork > 0 && <small> {t("fleet.inwork", { count: agent.inWork })}</small>}
                  </td>
                  <td class="number">{agent.copies.some(({ memory }) => memory > 0) ? `${count(Math.round(agent.copies.reduce((sum, { memory }) => sum + memory, 0)))} MB` : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hint">{t("fleet.answer.hint")}</p>
      <section class="panel">
        <h2>{t("fleet.troubles")}</h2>
        {errors.length === 0 ? (
          <p class="hint">{t("fleet.troubles.none")}</p>
        ) : (
          <ul class="troubles" aria-live="polite">
            {errors.map((error) => (
              <li key={`${error.at} ${error.service} ${error.type}`} class={error.severity === "critical" ? "critical" : ""}>
                <span class="when">{clock(error.at)}</span> <strong>{error.service} {error.type}</strong> {error.message}
                {error.action && <span class="hint"> {t("fleet.action", { action: error.action })}</span>}
              </li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}
