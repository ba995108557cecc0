import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import SwaggerUI, { type Plugin, type System } from "swagger-ui-dist/swagger-ui-es-bundle.js";

/** The viewer has a night of its own, and asks a class for it. */
function follow(): void {
  const { theme } = document.documentElement.dataset;
  const isNight = theme ? theme === "night" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark-mode", isNight);
}

follow();
document.addEventListener("palio:theme", follow);

/** The page has a head of its own; and no cookie of ours can be typed: whoever is signed in has sent it already. */
function fit({ React, getComponent }: System): Plugin {
  return {
    components: {
      InfoContainer: () => null,
      apiKeyAuth: ({ name, schema }) =>
        React.createElement(
          "section",
          { className: "sent" },
          React.createElement("h4", null, name),
          React.createElement(getComponent("Markdown", true), { source: schema.get("description") }),
        ),
    },
  };
}

const place = document.querySelector<HTMLElement>("[data-document]")!;

SwaggerUI({
  domNode: place,
  url: place.dataset.document!,
  validatorUrl: null, // it would show the document to another host
  deepLinking: false, // it puts links into buttons
  docExpansion: "none", // from 150 rows on it draws those on the screen alone, and nobody can search for the rest
  defaultModelsExpandDepth: 0,
  plugins: [fit],
});
