import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

const place = document.querySelector<HTMLElement>("[data-document]")!;

SwaggerUI({
  domNode: place,
  url: place.dataset.document!,
  validatorUrl: null, // it would show the document to another host
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
});
