import { type Agent } from "../agents";
import { type Shift } from "../desk";
import { type Point } from "../latency";
import { clock, count, milliseconds, minute, t } from "../strings";

const WIDTH = 120, HEIGHT = 32;
const x = (index: number, length: number) => (2 + (index / Math.max(1, length - 1)) * (WIDTH - 4)).toFixed(1);

// Two lines of the same scale, p99 behind p50. Where there was nothing to do is a gap; a step between two gaps is a dot.
function Sparkline({ name, latency, history }: Agent) {
  const top = Math.max(0.1, ...history.map((point) => point?.p99 ?? 0)) * 1.1;
  const line = (of: keyof Point) =>
    history
      .map((point, index) => {
        if (!point) return "";
        const y = (HEIGHT - 2 - (point[of] / top) * (HEIGHT - 4)).toFixed(1);
        return history[index - 1] ? `L${x(index, history.length)} ${y}` : `M${x(index, history.length)} ${y}h0.01`;
      })
      .join("");
  const label = latency ? t("fleet.spark", { name, p50: milliseconds(latency.p50), p99: milliseconds(latency.p99) }) : t("fleet.spark.none", { name });
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label} preserveAspectRatio="none">
      <path class="base" d={`M0 ${HEIGHT - 1}H${WIDTH}`} />
      <path class="p99" d={line("p99")} />
      <path class="p50" d={line("p50")} />
    </svg>
  );
}

// What is to be known or done beside the health.
function Note({ name, health, lost }: Agent) {
  if (lost) return <p class="hint note">{t(lost.copies === 1 ? "fleet.lost" : "fleet.lost.more", { count: lost.copies, time: minute(lost.at) })}</p>;
  if (health !== "silent" && health !== "stopped" && health !== "absent") return null;
  return <p class="hint note">{t(`fleet.${health}`)} <code>scripts/fleet start {name}</code></p>;
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
                <th scope="col">{t("fleet.latency")}</th>
                <th scope="col" class="number">{t("fleet.requests")}</th>
                <th scope="col" class="number">{t("fleet.errors")}</th>
                <th scope="col" class="number">{t("fleet.lag")}</th>
                <th scope="col" class="number">{t("fleet.memory")}</th>
                <th scope="col" class="number">{t("fleet.answer")}</th>
              </tr>
            </thead>
            <tbody>
              {agents.map((agent) => (
                <tr key={agent.name} data-agent={agent.name}>
                  <th scope="row">{agent.name}</th>
                  <td><span class={`health ${agent.health}`}>{t(`health.${agent.health}`)}</span><Note {...agent} /></td>
                  <td class="number" data-label={t("fleet.copies")}>{agent.copies.filter(({ status }) => status !== "silent").length}</td>
                  <td class="latency">
                    <Sparkline {...agent} />
                    {agent.latency ? (
                      <span class="both"><span class="p50">{milliseconds(agent.latency.p50)}</span> / <span class="p99">{milliseconds(agent.latency.p99)}</span></span>
                    ) : (
                      <span class="both">–</span>
                    )}
                  </td>
                  <td class="number" data-label={t("fleet.requests")}>{count(agent.requests)}</td>
                  <td class="number" data-label={t("fleet.errors")} title={agent.lastError}>{count(agent.errors)}</td>
                  <td class="number" data-label={t("fleet.lag")}>
                    {agent.lag === undefined ? "–" : count(agent.lag)}
                    {agent.inWork > 0 && <small> {t("fleet.inwork", { count: agent.inWork })}</small>}
                  </td>
                  <td class="number" data-label={t("fleet.memory")}>{agent.copies.some(({ memory }) => memory > 0) ? `${count(Math.round(agent.copies.reduce((sum, { memory }) => sum + memory, 0)))} MB` : "–"}</td>
                  <td class="number" data-label={t("fleet.answer")}>{agent.answersIn === undefined ? "–" : milliseconds(agent.answersIn)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hint">{t("fleet.hint")}</p>
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
