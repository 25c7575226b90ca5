package rinha;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.constantUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.feed;
import static io.gatling.javaapi.core.CoreDsl.rampUsersPerSec;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.core.CoreDsl.tsv;
import static io.gatling.javaapi.http.HttpDsl.header;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.FeederBuilder;
import io.gatling.javaapi.core.OpenInjectionStep;
import io.gatling.javaapi.core.OpenInjectionStep.ConstantRate.ConstantRateOpenInjectionStep;
import io.gatling.javaapi.core.ScenarioBuilder;
import io.gatling.javaapi.core.Simulation;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Sends the contest's load: three kinds of users, which arrive at their own rates.
 *
 * <p>System properties:
 *
 * <ul>
 *   <li>{@code baseUrl}: the address of the service
 *   <li>{@code dialect}: official or english
 *   <li>{@code data}: the directory with people.tsv and terms.tsv
 *   <li>{@code scale}: multiplies every rate
 *   <li>{@code duration}: the seconds from the first user to the last, 205 in the contest; the phases keep their
 *       proportions
 * </ul>
 */
public class RinhaSimulation extends Simulation {

  private final String baseUrl = System.getProperty("baseUrl", "http://localhost:9999");
  private final boolean english = isEnglish(System.getProperty("dialect", "official"));
  private final Path data = Path.of(System.getProperty("data", "target/data"));
  private final double scale = Double.parseDouble(System.getProperty("scale", "1"));
  private final int duration = Integer.parseInt(System.getProperty("duration", "205"));

  private final String people = english ? "/users" : "/pessoas";
  private final String parameter = english ? "q" : "t";

  // Gatling counts whole seconds, so the phases are rounded here; together they are the duration.
  private final int calm = share(10);
  private final int random = share(15);
  private final int ramp = duration - calm - random;

  {
    if (ramp < 1) {
      throw new IllegalArgumentException("duration must be at least 3 seconds");
    }
    setUp(
            creation().injectOpen(rate(2, calm), rate(5, random).randomized(), ramp(600)),
            search().injectOpen(rate(2, calm + random), ramp(100)),
            invalidSearch().injectOpen(rate(2, calm + random), ramp(40)))
        .protocols(protocol());
  }

  private HttpProtocolBuilder protocol() {
    return http.baseUrl(baseUrl).userAgentHeader("Agente do Caos - 2023").disableWarmUp();
  }

  private ScenarioBuilder creation() {
    return scenario("creation")
        .exec(feed(rows("people.tsv")))
        .exec(
            http("create")
                .post(people)
                .header("content-type", "application/json")
                .body(StringBody("#{payload}"))
                .check(status().in(201, 422, 400))
                .check(status().saveAs("status"))
                .checkIf(session -> session.getInt("status") == 201)
                .then(header("Location").saveAs("location")))
        .pause(Duration.ofMillis(1), Duration.ofMillis(30))
        .doIf(session -> session.contains("location"))
        .then(exec(http("read").get("#{location}")));
  }

  private ScenarioBuilder search() {
    return scenario("search")
        .exec(feed(rows("terms.tsv")))
        .exec(http("search").get(people + "?" + parameter + "=#{t}"));
  }

  private ScenarioBuilder invalidSearch() {
    return scenario("invalid search")
        .exec(http("invalid search").get(people).check(status().is(400)));
  }

  private FeederBuilder<String> rows(String name) {
    return tsv(data.resolve(name).toAbsolutePath().toString()).circular();
  }

  private ConstantRateOpenInjectionStep rate(double usersPerSecond, int seconds) {
    return constantUsersPerSec(usersPerSecond * scale).during(Duration.ofSeconds(seconds));
  }

  private OpenInjectionStep ramp(double usersPerSecond) {
    return rampUsersPerSec(6 * scale).to(usersPerSecond * scale).during(Duration.ofSeconds(ramp));
  }

  private int share(int seconds) {
    return Math.max(1, Math.round(seconds * duration / 205f));
  }

  private static boolean isEnglish(String dialect) {
    return switch (dialect) {
      case "official" -> false;
      case "english" -> true;
      default -> throw new IllegalArgumentException("dialect must be official or english, not " + dialect);
    };
  }
}
